/** Gathers the bytes that a codec makes in small pieces, so that they leave in one. */

const firstCapacityBytes = 16 * 1024

export class ByteSink {
  #bytes = new Uint8Array(firstCapacityBytes)
  #length = 0

  /** Appends a copy: the caller may reuse its buffer at once. */
  write(bytes: Uint8Array): void {
    this.reserve(bytes.length).set(bytes)
  }

  /** The next `length` bytes, for the caller to fill before it writes anything else. */
  reserve(length: number): Uint8Array {
    const end = this.#length + length
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    const space = this.#bytes.subarray(this.#length, end)
    this.#length = end
    return space
  }

  /** Everything written since the last call, in a buffer of its own that can be transferred. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#length)
    this.#length = 0
    return taken
  }
}
