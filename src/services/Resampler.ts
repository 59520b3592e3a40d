/**
 * Changes the sample rate of a live signal by any ratio of whole numbers: a polyphase low-pass filter with a Kaiser
 * window.
 *
 * Promises: the output is time-aligned with the input (the filter's delay is taken out) and `round(n · out / in)`
 * samples long; it does not depend on how the input was cut; what would alias lies at least 100 dB down; the pass band
 * reaches to 90 % of the lower Nyquist frequency.
 */

/** Stop-band attenuation the window is made for, dB: the promise with room for the 16 bits around it. */
const attenuationDb = 120
/** Width of the transition band as a share of the lower Nyquist frequency. */
const transitionShare = 0.1
/** More phases than any ratio of common rates needs (11 025 to 16 000 Hz needs 640): a bound on the table's size. */
const phasesMax = 4096
/** Coefficients kept in all tables together, 64 MiB: whoever may name rates at will cannot fill the memory with them. */
const coefficientsMax = 8 * 2 ** 20

export interface Resampler {
  /** Samples that are settled by now. The result is a view, good until the next call. */
  readonly push: (samples: Int16Array | Float64Array) => Float64Array
  /** The rest, after the last input. */
  readonly end: () => Float64Array
}

/** Whether the ratio of two rates, whole numbers of Hz, needs no more phases than a table may have. */
export const canResample = (rateIn: number, rateOut: number): boolean =>
  Number.isInteger(rateIn) && Number.isInteger(rateOut) && rateIn > 0 && rateOut / gcd(rateIn, rateOut) <= phasesMax

export const makeResampler = (rateIn: number, rateOut: number): Resampler => {
  const banked = filterBank(rateIn, rateOut)
  const { down, half, taps, up } = banked
  // Input not yet done with, from the sample number `start`. Before the first sample lies silence.
  let window = new Float64Array(taps * 4)
  let start = -half
  let filled = half
  let received = 0
  let made = 0
  let output = new Float64Array(1024)

  const append = (count: number): Float64Array => {
    const first = Math.floor((made * down) / up) - half + 1
    const drop = Math.min(first - start, filled)
    if (drop > 0) {
      window.copyWithin(0, drop, filled)
      start += drop
      filled -= drop
    }
    if (filled + count > window.length) {
      const grown = new Float64Array((filled + count) * 2)
      grown.set(window.subarray(0, filled))
      window = grown
    }
    filled += count
    return window.subarray(filled - count, filled)
  }

  /** Makes output while all input that it needs is here, up to output number `limit`. */
  const run = (limit: number): Float64Array => {
    const known = start + filled
    const ready = Math.max(made, Math.min(limit, Math.ceil(((known - half) * up) / down)))
    const count = ready - made
    if (output.length < count) output = new Float64Array(count * 2)
    filter(banked, window, made * down - start * up, output.subarray(0, count))
    made = ready
    return output.subarray(0, count)
  }

  return {
    push: (samples) => {
      append(samples.length).set(samples)
      received += samples.length
      return run(Infinity)
    },
    end: () => {
      append(half + 1).fill(0)
      return run(Math.round((received * rateOut) / rateIn))
    }
  }
}

/**
 * Fills `output` with samples `down / up` apart, the first at `moment / up` samples into `input`.
 *
 * The inner loop is all that resampling costs. It has four sums, for each addition waits only for the one before it.
 */
const filter = (
  { bank, down, half, taps, up }: FilterBank,
  input: Float64Array,
  moment: number,
  output: Float64Array
): void => {
  let base = Math.floor(moment / up)
  let phase = moment - base * up
  for (let n = 0; n < output.length; n++) {
    const from = base - half + 1
    const row = phase * taps
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    for (let i = 0; i < taps; i += 4) {
      a += bank[row + i]! * input[from + i]!
      b += bank[row + i + 1]! * input[from + i + 1]!
      c += bank[row + i + 2]! * input[from + i + 2]!
      d += bank[row + i + 3]! * input[from + i + 3]!
    }
    output[n] = a + b + (c + d)
    phase += down
    while (phase >= up) {
      phase -= up
      base++
    }
  }
}

interface FilterBank {
  /** `up` rows of `taps` coefficients, one row a phase. */
  readonly bank: Float64Array
  readonly taps: number
  /** Taps on either side of the output's moment. */
  readonly half: number
  readonly up: number
  readonly down: number
}

/** The first made comes first. */
const banks = new Map<string, FilterBank>()
let coefficients = 0

/** The table for a ratio, computed once while there is room for all. */
const filterBank = (rateIn: number, rateOut: number): FilterBank => {
  const divisor = gcd(rateIn, rateOut)
  const up = rateOut / divisor
  const down = rateIn / divisor
  const key = `${up}/${down}`
  const known = banks.get(key)
  if (known !== undefined) return known
  if (!canResample(rateIn, rateOut)) throw new RangeError(`No resampling from ${rateIn} Hz to ${rateOut} Hz`)
  const made = { ...designBank(up, down), up, down }
  banks.set(key, made)
  coefficients += made.bank.length
  for (const [oldest, { bank }] of banks) {
    if (coefficients <= coefficientsMax || oldest === key) break
    banks.delete(oldest)
    coefficients -= bank.length
  }
  return made
}

/**
 * A windowed sinc, sampled at `up` phases. Length and window shape after Kaiser (Oppenheim and Schafer, Discrete-Time
 * Signal Processing, §7.6): the transition band ends at the lower Nyquist frequency, so nothing above it folds back.
 */
const designBank = (up: number, down: number): Pick<FilterBank, "bank" | "half" | "taps"> => {
  /** The lower Nyquist frequency as a share of the input's. */
  const nyquist = Math.min(1, up / down)
  const cutoff = nyquist * (1 - transitionShare / 2)
  const order = (attenuationDb - 8) / (2.285 * Math.PI * transitionShare * nyquist)
  // Even, since the taps are added up four at a time.
  const half = 2 * Math.ceil(order / 4)
  const taps = 2 * half
  const beta = 0.1102 * (attenuationDb - 8.7)
  const peak = besselI0(beta)
  const bank = new Float64Array(up * taps)
  for (let phase = 0; phase < up; phase++) {
    const row = bank.subarray(phase * taps, (phase + 1) * taps)
    let sum = 0
    for (let i = 0; i < taps; i++) {
      // Time from the tap to the output's moment, in input samples.
      const t = phase / up - (i - half + 1)
      const x = t / half
      const tap = Math.abs(x) >= 1 ? 0 : sinc(cutoff * t) * (besselI0(beta * Math.sqrt(1 - x * x)) / peak)
      row[i] = tap
      sum += tap
    }
    // Every phase passes a constant unchanged.
    for (let i = 0; i < taps; i++) row[i] = row[i]! / sum
  }
  return { bank, half, taps }
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** Modified Bessel function of order 0, by its power series. */
const besselI0 = (x: number): number => {
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-16; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
