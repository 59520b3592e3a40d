/**
 * A linear-phase filter that follows a curve over the mel bands, and its use on a whole signal.
 *
 * Designed by frequency sampling with a Hann window (Oppenheim and Schafer, Discrete-Time Signal Processing, §7.5); the curve
 * is smooth, so that its response is right within 1 dB. Applied by overlap-add, with the filter's delay taken out.
 */
import { fftOf } from "../../services/Fft.ts"
import { readBands } from "./MelEnvelope.ts"

/** Samples: 32 ms at 16 kHz, of which all but a few ms in the middle are next to nothing. */
export const equaliserTaps = 512
const designSize = 1024
const blockSize = 2048

/** {@link equaliserTaps} coefficients whose gain at each frequency is what `curveDb` says, one dB figure a mel band. */
export const designEqualiser = (curveDb: ArrayLike<number>, sampleRate: number): Float32Array<ArrayBuffer> => {
  const fft = fftOf(designSize)
  const re = new Float64Array(designSize)
  const im = new Float64Array(designSize)
  for (let bin = 0; bin <= designSize / 2; bin++) {
    re[bin] = 10 ** (readBands(curveDb, (bin * sampleRate) / designSize) / 20)
    if (bin > 0) re[designSize - bin] = re[bin]!
  }
  fft.inverse(re, im)
  const half = equaliserTaps / 2
  return Float32Array.from({ length: equaliserTaps }, (_, i) => {
    const hann = 0.5 + 0.5 * Math.cos((Math.PI * (i - half)) / half)
    return re[(i - half + designSize) % designSize]! * hann
  })
}

/** The signal through the filter, of the same length and at the same place. */
export const equalise = (samples: Float64Array, taps: Float32Array): Float64Array<ArrayBuffer> => {
  const fft = fftOf(blockSize)
  const filterRe = new Float64Array(blockSize)
  const filterIm = new Float64Array(blockSize)
  filterRe.set(taps)
  fft.forward(filterRe, filterIm)
  const delay = taps.length / 2
  const step = blockSize - taps.length + 1
  const output = new Float64Array(samples.length)
  const re = new Float64Array(blockSize)
  const im = new Float64Array(blockSize)
  // The filter is real: two blocks go through one transform, one as the imaginary part.
  for (let start = 0; start < samples.length; start += 2 * step) {
    load(re, samples, start, step)
    load(im, samples, start + step, step)
    fft.forward(re, im)
    for (let bin = 0; bin < blockSize; bin++) {
      const a = re[bin]!
      const b = im[bin]!
      re[bin] = a * filterRe[bin]! - b * filterIm[bin]!
      im[bin] = a * filterIm[bin]! + b * filterRe[bin]!
    }
    fft.inverse(re, im)
    add(output, re, start - delay)
    add(output, im, start + step - delay)
  }
  return output
}

const load = (block: Float64Array, samples: Float64Array, start: number, count: number): void => {
  const part = samples.subarray(Math.min(start, samples.length), Math.min(start + count, samples.length))
  block.fill(0, part.length)
  block.set(part)
}

const add = (output: Float64Array, block: Float64Array, at: number): void => {
  const last = Math.min(block.length, output.length - at)
  for (let i = Math.max(0, -at); i < last; i++) output[at + i]! += block[i]!
}
