/** Power spectra of short frames, and what follows from them: a frame's autocorrelation. */

export interface Spectrum {
  /** A power of two. */
  readonly size: number
  /** Powers of `size / 2 + 1` frequencies of the frame, which is no longer than `size`; a view, good until the next call. */
  readonly powers: (frame: ArrayLike<number>) => Float64Array
  /** The autocorrelation at lags up to `size / 2`, of a frame half as long as `size` at most; a view likewise. */
  readonly autocorrelation: (frame: ArrayLike<number>) => Float64Array
}

export const makeSpectrum = (size: number): Spectrum => {
  const re = new Float64Array(size)
  const im = new Float64Array(size)
  const transform = makeTransform(size)
  const half = new Float64Array(size / 2 + 1)
  const fill = (frame: ArrayLike<number>) => {
    re.fill(0)
    im.fill(0)
    re.set(frame)
    transform(re, im)
    for (let k = 0; k < size; k++) {
      re[k] = re[k]! ** 2 + im[k]! ** 2
      im[k] = 0
    }
  }
  return {
    size,
    powers: (frame) => {
      fill(frame)
      half.set(re.subarray(0, half.length))
      return half
    },
    autocorrelation: (frame) => {
      fill(frame)
      // The powers are even, so that one more transform forward goes back.
      transform(re, im)
      for (let lag = 0; lag < half.length; lag++) half[lag] = re[lag]! / size
      return half
    }
  }
}

/** Radix 2, in place, unscaled. */
const makeTransform = (size: number) => {
  const bits = Math.log2(size)
  const cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size))
  const sines = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size))
  const reversed = new Uint32Array(size)
  for (let i = 1; i < size; i++) reversed[i] = (reversed[i >> 1]! >> 1) | ((i & 1) << (bits - 1))
  return (re: Float64Array, im: Float64Array): void => {
    for (let i = 0; i < size; i++) {
      const j = reversed[i]!
      if (j <= i) continue
      const [a, b] = [re[i]!, im[i]!]
      re[i] = re[j]!
      im[i] = im[j]!
      re[j] = a
      im[j] = b
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half)
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const c = cosines[k * step]!
          const s = sines[k * step]!
          const i = start + k
          const j = i + half
          const x = re[j]! * c + im[j]! * s
          const y = im[j]! * c - re[j]! * s
          re[j] = re[i]! - x
          im[j] = im[i]! - y
          re[i]! += x
          im[i]! += y
        }
      }
    }
  }
}

/** A Hann window. */
export const hann = (length: number): Float64Array =>
  Float64Array.from({ length }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / length))
