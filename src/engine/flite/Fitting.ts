/**
 * Makes a voice that is not in the build: from a clip of somebody, or from a design. It runs inside a worker, takes some
 * 0.3 s, and its outcome depends on its input alone.
 */
import type { Fit } from "../fit/Fit.ts"
import { match } from "../fit/Match.ts"
import { measureProfile } from "../fit/Profile.ts"
import { type Target, tune } from "../fit/Tune.ts"
import { bases } from "./Bases.ts"
import type { Design } from "./Design.ts"
import { activeLevel } from "./Loudness.ts"
import { sampleRate, speakWords } from "./Piece.ts"
import { targetDbfs } from "./Voices.ts"
import type { Program } from "./Wasi.ts"

/** What the new voice shall be like. */
export type FitJob =
  /** s16le, 16 kHz, mono. */
  | { readonly clip: Uint8Array }
  | { readonly design: Design }

export interface FittedVoice {
  /** A voice inside the build, and how it is bent. */
  readonly base: string
  readonly fit: Fit
  /** Factor on samples that brings it to the loudness of the others. */
  readonly gain: number
  /** Of durations: 2 is half the pace. */
  readonly stretch: number
}

/** A fitted voice, or in words why the clip has none. */
export type FitMade = { readonly voice: FittedVoice } | { readonly refused: string }

/** ms of a clip that are listened to: more changes nothing but the time it takes. */
const clipMillisMax = 30_000
/** Wider movement than this comes out as warbling; narrower as a machine. */
const f0SemitonesMin = 0.8
const f0SemitonesMax = 2.2

export const fitVoice = (flite: Program, job: FitJob): FitMade => {
  if ("design" in job) {
    const { base, curveDb, f0Hz, f0Semitones, stretch, warpPercent } = job.design
    return { voice: voiceOf(flite, base, stretch, { f0Hz, f0Semitones, warpPercent, spectrum: { curveDb } }) }
  }
  const profile = measureProfile(floatsOf(job.clip), sampleRate)
  if ("refused" in profile) return profile
  const { base, warpPercent } = match(profile, bases)
  const f0Semitones = Math.min(Math.max(profile.f0Semitones, f0SemitonesMin), f0SemitonesMax)
  return { voice: voiceOf(flite, base.name, 1, { ...profile, f0Semitones, warpPercent, spectrum: profile }) }
}

/** Two short sentences with most sounds of English, pitched and paced as most of what is spoken is. */
const sentences = ["The birds sang loudly in the early morning.", "A young man walked down the street with his dog."]

const voiceOf = (flite: Program, base: string, stretch: number, target: Target): FittedVoice => {
  const speak = (fit: Fit) => {
    const spoken = sentences.map((sentence) =>
      Float64Array.from(speakWords(flite, { voice: base, words: sentence.split(" "), stretch, fit }).wave, unscale)
    )
    return joined(spoken)
  }
  const fit = tune(target, speak, sampleRate)
  const level = activeLevel(speak(fit).map((sample) => sample * fullScale), sampleRate)
  return { base, fit, gain: 10 ** ((targetDbfs - level) / 20), stretch }
}

const fullScale = 32768
const unscale = (sample: number): number => sample / fullScale

const joined = (parts: ReadonlyArray<Float64Array>): Float64Array => {
  const all = new Float64Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const floatsOf = (pcm: Uint8Array): Float64Array => {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength)
  const length = Math.min(pcm.length >> 1, (clipMillisMax * sampleRate) / 1000)
  return Float64Array.from({ length }, (_, i) => unscale(view.getInt16(2 * i, true)))
}
