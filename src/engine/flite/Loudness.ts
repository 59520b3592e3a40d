/**
 * How loud speech is, and a gain that makes voices equally loud without ever clipping.
 */

const frameMillis = 20
/** Below this a frame is silence whatever else there is; ITU-R BS.1770-5 takes the same figure. */
const absoluteGateDbfs = -70
/** Frames this far under the mean of the rest are pauses; the relative gate of ITU-R BS.1770-5. */
const relativeGateDb = -10
const fullScale = 32768

/** dBFS of a sample value: 0 is a full-scale square wave, -Infinity is digital silence. */
const dbfs = (power: number): number => 10 * Math.log10(power) - 20 * Math.log10(fullScale)

/** Level of the spoken parts, in dBFS: the two gates of BS.1770 over 20 ms frames, without its frequency weighting. */
export const activeLevel = (samples: Int16Array | Float64Array, sampleRate: number): number => {
  const frame = (sampleRate * frameMillis) / 1000
  const powers: Array<number> = []
  for (let start = 0; start < samples.length; start += frame) {
    const end = Math.min(start + frame, samples.length)
    let sum = 0
    for (let i = start; i < end; i++) sum += samples[i]! * samples[i]!
    powers.push(sum / (end - start))
  }
  const heard = powers.filter((power) => dbfs(power) > absoluteGateDbfs)
  const gate = dbfs(mean(heard)) + relativeGateDb
  return dbfs(mean(heard.filter((power) => dbfs(power) > gate)))
}

const mean = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/** -1.2 dBFS, so that rounding and a resampler's overshoot stay under -1. */
const ceiling = fullScale * 10 ** (-1.2 / 20)
/** 5 ms at 16 kHz: shorter than a pitch period of any voice would be heard as distortion, longer as pumping. */
const blockSamples = 80
/** Blocks on either side that a peak turns down with it, so that gain moves no faster than 15 ms. */
const holdBlocks = 2

/**
 * Multiplies by `gain` and turns down smoothly around what would pass the ceiling. In place; sample values are whole
 * afterwards and fit in 16 bits, whatever they were.
 *
 * Each block's gain is the least that any block within reach needs, averaged with its neighbours and drawn as a line
 * from middle to middle: every term of that average covers the block itself, so no sample can pass the ceiling.
 */
export const amplify = (samples: Int16Array | Float64Array, gain: number): void => {
  const blocks = Math.ceil(samples.length / blockSamples)
  const needed = new Float32Array(blocks)
  for (let block = 0; block < blocks; block++) {
    let peak = 1
    const end = Math.min((block + 1) * blockSamples, samples.length)
    for (let i = block * blockSamples; i < end; i++) peak = Math.max(peak, Math.abs(samples[i]!))
    needed[block] = Math.min(gain, ceiling / peak)
  }
  const least = needed.map((_, block) =>
    Math.min(...needed.subarray(Math.max(0, block - holdBlocks), block + holdBlocks + 1))
  )
  const smooth = least.map((value, block) => (value + (least[block - 1] ?? value) + (least[block + 1] ?? value)) / 3)
  for (let i = 0; i < samples.length; i++) {
    const at = Math.min(Math.max(i / blockSamples - 0.5, 0), blocks - 1)
    const left = smooth[Math.floor(at)]!
    const right = smooth[Math.ceil(at)]!
    samples[i] = Math.round(samples[i]! * (left + (right - left) * (at - Math.floor(at))))
  }
}
