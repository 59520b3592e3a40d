/**
 * Collects what a decoder makes: all channels averaged into one, up to a bound, with what that average would hide (peaks
 * of single channels) noted on the way.
 */

/** Decoding stops here: no clip of use is longer, and a small file can claim days. */
export const clipSecondsMax = 120
const rateMin = 8000
const rateMax = 192_000
const channelsMax = 8
/** From here on a sample counts as full scale: −0.01 dBFS, which coders and dither round to. */
export const fullScale = 0.999

/** What keeps a file from being decoded. `reason` continues "The clip …". */
export class Undecodable extends Error {
  readonly reason: string
  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

/** Mono, full scale 1; shared between threads, and never written to again. */
export interface Sound {
  readonly samples: Float32Array<SharedArrayBuffer>
  /** Hz. */
  readonly sampleRate: number
  /** Of the file. */
  readonly channels: number
  /** Largest magnitude in any channel. */
  readonly peak: number
  /** Share of all moments at which some channel is at full scale. */
  readonly fullScaleRatio: number
  /** Whether the file goes on after the last sample. */
  readonly cut: boolean
}

export class Take {
  readonly sampleRate: number
  readonly channels: number
  readonly #room: number
  /** Grows in place: no moment has two copies of the samples. */
  readonly #memory: SharedArrayBuffer
  #frames = 0
  #peak = 0
  #full = 0
  #cut = false

  constructor(sampleRate: number, channels: number) {
    if (!(sampleRate >= rateMin && sampleRate <= rateMax)) {
      throw new Undecodable(`has a sample rate of ${sampleRate} Hz; ${rateMin} to ${rateMax} Hz can be read`)
    }
    if (!(channels >= 1 && channels <= channelsMax)) {
      throw new Undecodable(`has ${channels} channels; 1 to ${channelsMax} can be read`)
    }
    this.sampleRate = sampleRate
    this.channels = channels
    this.#room = clipSecondsMax * sampleRate
    this.#memory = new SharedArrayBuffer(0, { maxByteLength: this.#room * 4 })
  }

  get frames(): number {
    return this.#frames
  }

  /** Whether nothing more is taken. */
  get full(): boolean {
    return this.#cut
  }

  /** One signal a channel, all of one length. */
  push(signals: ReadonlyArray<ArrayLike<number>>): void {
    const given = signals[0]?.length ?? 0
    const block = new Float32Array(Math.min(given, this.#room - this.#frames))
    if (block.length < given) this.#cut = true
    for (let n = 0; n < block.length; n++) {
      let sum = 0
      let loudest = 0
      for (const signal of signals) {
        const value = signal[n]!
        sum += value
        loudest = Math.max(loudest, Math.abs(value))
      }
      // Every mean of finite samples is finite.
      if (!Number.isFinite(sum)) throw new Undecodable("has samples that are not numbers")
      if (loudest > this.#peak) this.#peak = loudest
      if (loudest >= fullScale) this.#full++
      block[n] = sum / signals.length
    }
    this.#memory.grow((this.#frames + block.length) * 4)
    new Float32Array(this.#memory, this.#frames * 4, block.length).set(block)
    this.#frames += block.length
  }

  /** `frames`: how many of them are sound; what is behind them is padding. */
  end(frames = this.#frames): Sound {
    const kept = Math.max(0, Math.min(frames, this.#frames))
    if (kept === 0) throw new Undecodable("has no sound in it")
    const samples = new Float32Array(this.#memory, 0, kept)
    return {
      samples,
      sampleRate: this.sampleRate,
      channels: this.channels,
      peak: this.#peak,
      fullScaleRatio: this.#full / this.#frames,
      cut: this.#cut
    }
  }
}
