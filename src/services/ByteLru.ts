/** A map that keeps what was used last, within a bound of bytes. */

interface Entry<Value> {
  readonly value: Value
  readonly bytes: number
}

export class ByteLru<Value> {
  readonly #bytesMax: number
  /** The one used longest ago comes first. */
  readonly #entries = new Map<string, Entry<Value>>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Of all entries; never more than the bound. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.size
  }

  /** The one used longest ago first. Asking is no use. */
  keys(): ReadonlyArray<string> {
    return [...this.#entries.keys()]
  }

  /** Counts as a use. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /**
   * Counts as a use. Answers the values that are kept no longer: what stood under this key, and what makes room, the
   * oldest first. One that is larger than the bound is not kept and comes back itself.
   */
  set(key: string, value: Value, bytes: number): Array<Value> {
    const gone: Array<Value> = []
    const before = this.delete(key)
    if (before !== undefined) gone.push(before)
    if (bytes > this.#bytesMax) return [...gone, value]
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes + bytes <= this.#bytesMax) break
      gone.push(this.delete(oldest)!)
    }
    this.#entries.set(key, { value, bytes })
    this.#bytes += bytes
    return gone
  }

  /** Answers what stood there. */
  delete(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
    return entry.value
  }

  /** The last used first; no use by itself. */
  values(): Array<Value> {
    return Array.from(this.#entries.values(), ({ value }) => value).toReversed()
  }
}
