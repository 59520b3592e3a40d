/**
 * A radix-2 Fourier transform in place, with tables computed once a size; real frames are transformed as complex ones.
 */

export interface Fft {
  /** A power of two. */
  readonly size: number
  /** Replaces the signal by its spectrum, unscaled. */
  readonly forward: (re: Float64Array, im: Float64Array) => void
  /** Replaces the spectrum by its signal, scaled by 1/size. */
  readonly inverse: (re: Float64Array, im: Float64Array) => void
}

const known = new Map<number, Fft>()

/** `size` is a power of two. */
export const fftOf = (size: number): Fft => {
  let fft = known.get(size)
  if (fft === undefined) known.set(size, fft = make(size))
  return fft
}

const make = (size: number): Fft => {
  const bits = Math.log2(size)
  if (!Number.isInteger(bits)) throw new RangeError(`${size} is not a power of two`)
  const cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size))
  const sines = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size))
  const reversed = new Uint32Array(size)
  for (let i = 1; i < size; i++) reversed[i] = (reversed[i >> 1]! >> 1) | ((i & 1) << (bits - 1))

  const forward = (re: Float64Array, im: Float64Array): void => {
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
  const inverse = (re: Float64Array, im: Float64Array): void => {
    forward(im, re)
    for (let i = 0; i < size; i++) {
      re[i]! /= size
      im[i]! /= size
    }
  }
  return { size, forward, inverse }
}
