/**
 * The last of what a session has sent, to be sent again when its transport is lost: 30 s of audio, in 1 MiB at most.
 *
 * Audio is copied in and out, and lies as bytes in {@link takeBlock blocks}, not as an object for each packet: of a thousand
 * sessions those would be a million and a half for the garbage collector to look through.
 */
import type { OutputItem } from "../StreamService.ts"
import { blockBytes, giveBlock, takeBlock } from "./Blocks.ts"

/** ms. */
const keptMillisMax = 30_000
const keptBytesMax = 1 << 20
/** What a frame counts as. Bytes. */
export const frameBytes = 256
const sizesMin = 64
/** Stands for the size of what is no audio. */
const isFrame = -1

type FrameItem = OutputItem & { readonly _tag: "frame" }

export class Kept {
  readonly #msOf: (bytes: number) => number
  /** The oldest byte of audio is at `#start` of the first block. */
  readonly #blocks: Array<Uint8Array> = []
  #start = 0
  #audioBytes = 0
  /** Bytes of each item, or `isFrame`: a ring whose length is a power of two. */
  #sizes = new Int32Array(0)
  #first = 0
  #count = 0
  readonly #frames: Array<FrameItem> = []
  #ms = 0
  /** Items that were sent before the first that is kept. */
  #before = 0

  /** `msOf`: ms of audio in so many bytes. */
  constructor(msOf: (bytes: number) => number) {
    this.#msOf = msOf
  }

  /** Copies what was sent; the oldest makes room. */
  push(item: OutputItem): void {
    if (item._tag === "frame") {
      this.#frames.push(item)
      this.#pushSize(isFrame)
    } else {
      this.#append(item.bytes)
      this.#pushSize(item.bytes.length)
      this.#ms += this.#msOf(item.bytes.length)
    }
    while (this.#ms > keptMillisMax || this.#audioBytes + this.#frames.length * frameBytes > keptBytesMax) this.#shift()
  }

  /** Takes back what came after so many items, oldest first; undefined when that is not kept any more, or was never sent. */
  takeBack(seq: number): ReadonlyArray<OutputItem> | undefined {
    const index = seq - this.#before
    if (index < 0 || index > this.#count) return undefined
    const items: Array<OutputItem> = []
    while (this.#count > index) items.push(this.#pop())
    return items.toReversed()
  }

  /** Forgets everything. */
  clear(): void {
    while (this.#count > 0) this.#shift()
    for (const block of this.#blocks.splice(0)) giveBlock(block)
  }

  #sizeAt(index: number): number {
    return this.#sizes[(this.#first + index) & (this.#sizes.length - 1)]!
  }

  #pushSize(size: number): void {
    if (this.#count === this.#sizes.length) {
      const sizes = new Int32Array(Math.max(sizesMin, 2 * this.#count))
      for (let i = 0; i < this.#count; i++) sizes[i] = this.#sizeAt(i)
      this.#sizes = sizes
      this.#first = 0
    }
    this.#sizes[(this.#first + this.#count++) & (this.#sizes.length - 1)] = size
  }

  #shift(): void {
    const size = this.#sizeAt(0)
    this.#first = (this.#first + 1) & (this.#sizes.length - 1)
    this.#count--
    this.#before++
    if (size === isFrame) return void this.#frames.shift()
    this.#start += size
    this.#forget(size)
    for (; this.#start >= blockBytes; this.#start -= blockBytes) giveBlock(this.#blocks.shift()!)
  }

  #pop(): OutputItem {
    const size = this.#sizeAt(--this.#count)
    if (size === isFrame) return this.#frames.pop()!
    const bytes = new Uint8Array(size)
    this.#inBlocks(this.#audioBytes - size, size, (part, at) => bytes.set(part, at))
    this.#forget(size)
    while ((this.#blocks.length - 1) * blockBytes >= this.#start + this.#audioBytes) giveBlock(this.#blocks.pop()!)
    return { _tag: "audio", bytes }
  }

  #forget(size: number): void {
    this.#audioBytes -= size
    this.#ms = this.#audioBytes === 0 ? 0 : this.#ms - this.#msOf(size)
  }

  #append(bytes: Uint8Array): void {
    const offset = this.#audioBytes
    this.#audioBytes += bytes.length
    while (this.#blocks.length * blockBytes < this.#start + this.#audioBytes) this.#blocks.push(takeBlock())
    this.#inBlocks(offset, bytes.length, (part, at) => part.set(bytes.subarray(at, at + part.length)))
  }

  /** The parts of blocks in which `size` bytes lie, `offset` behind the oldest. */
  #inBlocks(offset: number, size: number, each: (part: Uint8Array, at: number) => void): void {
    for (let done = 0; done < size;) {
      const at = this.#start + offset + done
      const inBlock = at % blockBytes
      const part = this.#blocks[(at - inBlock) / blockBytes]!.subarray(inBlock, inBlock + size - done)
      each(part, done)
      done += part.length
    }
  }
}
