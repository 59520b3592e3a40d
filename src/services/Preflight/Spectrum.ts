/** Power spectra of short frames, and what follows from them: a frame's autocorrelation. */
import { fftOf } from "../Fft.ts"

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
  const { forward } = fftOf(size)
  const half = new Float64Array(size / 2 + 1)
  const fill = (frame: ArrayLike<number>) => {
    re.fill(0)
    im.fill(0)
    re.set(frame)
    forward(re, im)
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
      forward(re, im)
      for (let lag = 0; lag < half.length; lag++) half[lag] = re[lag]! / size
      return half
    }
  }
}

/** A Hann window. */
export const hann = (length: number): Float64Array =>
  Float64Array.from({ length }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / length))
