/**
 * A classical yardstick for "who speaks": how the cepstra of a clip lie against a background of many voices.
 *
 * Cepstra c1 to c19 of the speech frames; a background of 32 centroids over all voices at hand, each as long; of each clip
 * the mean shift from each centroid, as one long vector (a mean supervector after Reynolds, Quatieri and Dunn, "Speaker
 * verification using adapted Gaussian mixture models", 2000); the cosine of two such vectors, less a term for their pitch.
 * Where the centroids come to lie moves a score by 0.1, so it is the mean over several backgrounds.
 *
 * It shares its spectrum with what the fit equalises, so it flatters the fit; it is no stranger's ear. It is also blind to
 * accent, rhythm and manner.
 */
import { bandCount, melEnvelope } from "../../../src/engine/fit/MelEnvelope.ts"
import { trackPitch } from "../../../src/engine/fit/Pitch.ts"

const cepstra = 19
const centroidCount = 32
const iterations = 10
const backgrounds = 4
/** Of each voice: no background is made of those who speak longest. */
const framesEach = 600
/** Frames that a centroid needs before its shift counts by half. */
const relevance = 16
/** What an octave costs. */
const f0Weight = 1

export interface Voiceprint {
  /** One a background. */
  readonly vectors: ReadonlyArray<Float64Array>
  /** Hz. */
  readonly f0Hz: number
}

export const floats = (samples: Int16Array): Float64Array => Float64Array.from(samples, (sample) => sample / 32768)

/** Prints of clips (16 kHz) against the background of all of `voices`, and how alike two are: 1 is the same. */
export const makeScorer = (voices: ReadonlyArray<Int16Array>) => {
  const frames = voices.flatMap((voice) => {
    const all = cepstraOf(voice)
    return Array.from({ length: framesEach }, (_, i) => all[Math.floor((i * all.length) / framesEach)]!)
  })
  const all = Array.from({ length: backgrounds }, (_, i) => cluster(frames, (i + 0.5) / backgrounds))
  const print = (clip: Int16Array): Voiceprint => {
    const cepstra = cepstraOf(clip)
    return { vectors: all.map((centroids) => shifts(centroids, cepstra)), f0Hz: medianPitch(clip) }
  }
  const alike = (a: Voiceprint, b: Voiceprint): number =>
    a.vectors.reduce((sum, vector, i) => sum + cosine(vector, b.vectors[i]!), 0) / backgrounds -
    f0Weight * Math.abs(Math.log2(a.f0Hz / b.f0Hz))
  return { print, alike }
}

/** How far a clip's frames lie from each centroid that is nearest to them, on average. */
const shifts = (centroids: ReadonlyArray<Float64Array>, frames: ReadonlyArray<Float64Array>): Float64Array => {
  const sums = centroids.map(() => new Float64Array(cepstra))
  const counts = new Float64Array(centroids.length)
  for (const frame of frames) {
    const near = nearest(centroids, frame)
    counts[near]!++
    for (let i = 0; i < cepstra; i++) sums[near]![i]! += frame[i]! - centroids[near]![i]!
  }
  const vector = new Float64Array(centroids.length * cepstra)
  sums.forEach((sum, c) => vector.set(sum.map((value) => value / (counts[c]! + relevance)), c * cepstra))
  return vector
}

/** Hz, of the speech in a clip. */
export const medianPitch = (clip: Int16Array): number => {
  const samples = floats(clip)
  const { heard } = melEnvelope(samples, 16000)
  const voiced = trackPitch(samples, 16000, (frame) => heard[frame] ?? false).filter((hz) => hz > 0).toSorted()
  return voiced[voiced.length >> 1] ?? Number.NaN
}

/** The cosines of c1 to c19. */
const cosines = Array.from(
  { length: cepstra },
  (_, c) =>
    Float64Array.from({ length: bandCount }, (_, band) => Math.cos((Math.PI * (c + 1) * (band + 0.5)) / bandCount))
)

const cepstraOf = (clip: Int16Array): ReadonlyArray<Float64Array> => {
  const { frames, heard } = melEnvelope(floats(clip), 16000)
  return frames.filter((_, i) => heard[i]).map((frame) =>
    Float64Array.from(cosines, (row) => dot(row, frame) / bandCount)
  )
}

/** k-means from evenly spaced frames: the same each time. */
const cluster = (frames: ReadonlyArray<Float64Array>, offset: number): ReadonlyArray<Float64Array> => {
  let centroids = Array.from(
    { length: centroidCount },
    (_, i) => frames[Math.floor(((i + offset) * frames.length) / centroidCount)]!
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
  for (let c = 0; c < centroids.length; c++) {
    const centroid = centroids[c]!
    let distance = 0
    for (let i = 0; i < cepstra; i++) {
      const delta = centroid[i]! - frame[i]!
      distance += delta * delta
    }
    if (distance < least) {
      least = distance
      best = c
    }
  }
  return best
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

const cosine = (a: Float64Array, b: Float64Array): number => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
