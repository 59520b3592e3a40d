/**
 * A classical yardstick for "who speaks": how the cepstra of a clip lie against a background of many voices.
 *
 * Cepstra c1 to c19 of the speech frames; a background of 32 centroids over all voices at hand; of each clip the mean shift
 * from each centroid, as one long vector (a mean supervector after Reynolds, Quatieri and Dunn, "Speaker verification using
 * adapted Gaussian mixture models", 2000); the cosine of two such vectors, less a term for their pitch.
 *
 * It shares its spectrum with what the fit equalises, so it flatters the fit; it is no stranger's ear. It is also blind to
 * accent, rhythm and manner.
 */
import { bandCount, melEnvelope } from "../../../src/engine/fit/MelEnvelope.ts"
import { pitchHopMillis, trackPitch } from "../../../src/engine/fit/Pitch.ts"

const cepstra = 19
const centroidCount = 32
const iterations = 12
/** Frames that a centroid needs before its shift counts by half. */
const relevance = 16
/** What an octave costs. */
const f0Weight = 1

export interface Voiceprint {
  readonly vector: Float64Array
  /** Hz. */
  readonly f0Hz: number
}

export const floats = (samples: Int16Array): Float64Array => Float64Array.from(samples, (sample) => sample / 32768)

/** Prints of clips (16 kHz) against the background of all of `voices`, and how alike two are: 1 is the same. */
export const makeScorer = (voices: ReadonlyArray<Int16Array>) => {
  const centroids = cluster(voices.flatMap(cepstraOf))
  const print = (clip: Int16Array): Voiceprint => {
    const sums = centroids.map(() => new Float64Array(cepstra))
    const counts = new Float64Array(centroids.length)
    for (const frame of cepstraOf(clip)) {
      const near = nearest(centroids, frame)
      counts[near]!++
      for (let i = 0; i < cepstra; i++) sums[near]![i]! += frame[i]! - centroids[near]![i]!
    }
    const vector = new Float64Array(centroids.length * cepstra)
    sums.forEach((sum, c) => vector.set(sum.map((value) => value / (counts[c]! + relevance)), c * cepstra))
    return { vector, f0Hz: medianPitch(clip) }
  }
  const alike = (a: Voiceprint, b: Voiceprint): number =>
    cosine(a.vector, b.vector) - f0Weight * Math.abs(Math.log2(a.f0Hz / b.f0Hz))
  return { print, alike }
}

/** Hz, of the speech in a clip. */
export const medianPitch = (clip: Int16Array): number => {
  const samples = floats(clip)
  const { heard } = melEnvelope(samples, 16000)
  const voiced = trackPitch(samples, 16000, (frame) => heard[frame] ?? false).filter((hz) => hz > 0).toSorted()
  return voiced[voiced.length >> 1] ?? Number.NaN
}

const cepstraOf = (clip: Int16Array): ReadonlyArray<Float64Array> => {
  const { frames, heard } = melEnvelope(floats(clip), 16000)
  if (pitchHopMillis !== 10) throw new Error("frames are 10 ms")
  return frames.filter((_, i) => heard[i]).map((frame) =>
    Float64Array.from(
      { length: cepstra },
      (_, c) =>
        frame.reduce((sum, db, band) => sum + db * Math.cos((Math.PI * (c + 1) * (band + 0.5)) / bandCount), 0) /
        bandCount
    )
  )
}

/** k-means from evenly spaced frames: the same each time. */
const cluster = (frames: ReadonlyArray<Float64Array>): ReadonlyArray<Float64Array> => {
  let centroids = Array.from(
    { length: centroidCount },
    (_, i) => frames[Math.floor(((i + 0.5) * frames.length) / centroidCount)]!
  )
  for (let round = 0; round < iterations; round++) {
    const sums = centroids.map(() => new Float64Array(cepstra))
    const counts = new Float64Array(centroidCount)
    for (const frame of frames) {
      const near = nearest(centroids, frame)
      counts[near]!++
      for (let i = 0; i < cepstra; i++) sums[near]![i]! += frame[i]!
    }
    centroids = centroids.map((old, c) => (counts[c] === 0 ? old : sums[c]!.map((value) => value / counts[c]!)))
  }
  return centroids
}

const nearest = (centroids: ReadonlyArray<Float64Array>, frame: Float64Array): number => {
  let best = 0
  let least = Infinity
  centroids.forEach((centroid, c) => {
    let distance = 0
    for (let i = 0; i < cepstra; i++) distance += (centroid[i]! - frame[i]!) ** 2
    if (distance < least) [best, least] = [c, distance]
  })
  return best
}

const cosine = (a: Float64Array, b: Float64Array): number => {
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}
