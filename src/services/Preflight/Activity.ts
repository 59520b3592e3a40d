/**
 * Where somebody speaks, told by energy and periodicity alone: for a machine without a trained detector.
 *
 * A voice is a period that glides; a note is one that stands still. So frames count as voiced when they are periodic and
 * well above the quietest moments, and do not count while their pitch stays where it is. Consonants have no period: what
 * is loud next to voice counts with it.
 */
import { hann, makeSpectrum } from "./Spectrum.ts"

/** Hz: of the signal that is looked at; holds all that pitch is told by. */
export const activityRate = 8000
/** From one frame to the next. */
export const hopMillis = 10
/** Two periods of the deepest voice. */
export const windowMillis = 40
const f0HzMin = 60
const f0HzMax = 500
/** Normalised autocorrelation: Boersma (1993) takes 0.45 for voiced. */
const voicedMin = 0.5
/** Of autocorrelation, for each octave down: a period is as good as its multiples, and preferred. */
const octaveCost = 0.02
/** Above the quietest tenth of all frames. */
const loudDb = 6
/** Below this, dBFS, nothing is heard: the noise floor of a quiet microphone. */
const silentDbfs = -65
/** A note: no frame of so many further than so many cents from their middle. Speech glides by semitones in this time. */
const noteFrames = 9
const noteCents = 8
/** Consonants and closures beside voice: ITU-T P.56 bridges 200 ms. */
const hangFrames = 20
/** Voice shorter than a syllable's core is chance. */
const runFramesMin = 4

/** One entry a frame of {@link hopMillis}: whether it belongs to speech. `samples` at {@link activityRate}. */
export const findActivity = (samples: Float32Array): Uint8Array => activityOf(analyse(samples))

/** What frames look like: levels in dBFS, pitches in Hz (0: none). */
export interface Frames {
  readonly levels: Float64Array
  readonly pitches: Float64Array
}

/** One entry a frame, as `findActivity` has them. */
export const activityOf = ({ levels, pitches }: Frames): Uint8Array => {
  const sorted = Float64Array.from(levels).sort()
  const floor = sorted[Math.floor(sorted.length / 10)] ?? 0
  const loud = levels.map((level) => (level > Math.max(floor + loudDb, silentDbfs) ? 1 : 0))
  const voiced = pitches.map((pitch, n) => (pitch > 0 && loud[n] === 1 && !isNote(pitches, n) ? 1 : 0))
  dropShort(voiced)
  return near(voiced, hangFrames)
}

/** Frames of {@link windowMillis}, one each {@link hopMillis}. */
export const analyse = (samples: Float32Array): Frames => {
  const hop = (activityRate * hopMillis) / 1000
  const length = (activityRate * windowMillis) / 1000
  const window = hann(length)
  const spectrum = makeSpectrum(1024)
  const ofWindow = Float64Array.from(spectrum.autocorrelation(window))
  const frames = Math.max(0, Math.floor((samples.length - length) / hop) + 1)
  const levels = new Float64Array(frames)
  const pitches = new Float64Array(frames)
  const frame = new Float64Array(length)
  for (let n = 0; n < frames; n++) {
    let sum = 0
    for (let i = 0; i < length; i++) sum += samples[n * hop + i]!
    for (let i = 0; i < length; i++) frame[i] = (samples[n * hop + i]! - sum / length) * window[i]!
    const auto = spectrum.autocorrelation(frame)
    levels[n] = 10 * Math.log10(auto[0]! / ofWindow[0]! + 1e-20)
    pitches[n] = pitchOf(auto, ofWindow)
  }
  return { levels, pitches }
}

/** Hz; 0 when the frame has no period. The window's own autocorrelation is divided out (Boersma 1993, eq. 9). */
const pitchOf = (auto: Float64Array, ofWindow: Float64Array): number => {
  const at = (lag: number) => (auto[lag]! / auto[0]!) / (ofWindow[lag]! / ofWindow[0]!)
  const lagMax = Math.floor(activityRate / f0HzMin)
  let best = 0
  let most = voicedMin
  if (!(auto[0]! > 0)) return 0
  for (let lag = Math.ceil(activityRate / f0HzMax); lag <= lagMax; lag++) {
    const value = at(lag) - octaveCost * Math.log2(lag)
    if (value > most && at(lag) >= at(lag - 1) && at(lag) >= at(lag + 1)) {
      most = value
      best = lag
    }
  }
  if (best === 0) return 0
  const [left, middle, right] = [at(best - 1), at(best), at(best + 1)]
  const curvature = left - 2 * middle + right
  return activityRate / (best + (curvature >= 0 ? 0 : (0.5 * (left - right)) / curvature))
}

const isNote = (pitches: Float64Array, n: number): boolean => {
  const reach = noteFrames >> 1
  for (let start = Math.max(0, n - 2 * reach); start <= n; start++) {
    const run = pitches.subarray(start, start + noteFrames)
    const middle = run[reach] ?? 0
    if (
      run.length === noteFrames &&
      run.every((pitch) => pitch > 0 && Math.abs(1200 * Math.log2(pitch / middle)) < noteCents)
    ) return true
  }
  return false
}

const dropShort = (voiced: Float64Array): void => {
  for (let from = 0; from < voiced.length; from++) {
    if (voiced[from] === 0) continue
    let to = from
    while (voiced[to] === 1) to++
    if (to - from < runFramesMin) voiced.fill(0, from, to)
    from = to
  }
}

const near = (voiced: Float64Array, reach: number): Uint8Array => {
  const active = new Uint8Array(voiced.length)
  let last = -Infinity
  for (let n = 0; n < voiced.length; n++) {
    if (voiced[n] === 0) continue
    // A closure between two voiced parts belongs to them; beyond the outermost, a consonant's length does.
    const from = n - last <= 2 * reach ? last + 1 : n - reach / 2
    active.fill(1, Math.max(0, from), n + 1)
    last = n
    active.fill(1, n, n + 1 + reach / 2)
  }
  return active
}
