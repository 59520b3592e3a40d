/**
 * What a clip of a voice says of its speaker: how high it is, how much it moves, and its long-term spectrum. Nothing of
 * the words, the accent or the rhythm is kept.
 */
import { melEnvelope } from "./MelEnvelope.ts"
import { pitchHopMillis, trackPitch } from "./Pitch.ts"

export interface Profile {
  /** Median pitch, Hz. */
  readonly f0Hz: number
  /** Standard deviation of the pitch around it, semitones. */
  readonly f0Semitones: number
  /** dB in each mel band (see `MelEnvelope.ts`), mean over the speech frames. */
  readonly envelopeDb: Float64Array
}

/** Shorter than this, a spectrum is that of the words rather than the voice; ms of speech. */
const speechMillisMin = 2000
/** ms of speech with a pitch. */
const voicedMillisMin = 400
/** Of the speech: less is whisper, noise or music. */
const voicedShareMin = 0.08
/** A frame this far from the median, in octaves, is creak or taken for its double: it says nothing of how a voice moves. */
const octavesMax = 0.75

/** The profile of a clip, 1 is full scale, or in words why it has none. */
export const measureProfile = (samples: Float64Array, sampleRate: number): Profile | { readonly refused: string } => {
  const { heard, meanDb } = melEnvelope(samples, sampleRate)
  const speechMillis = heard.filter(Boolean).length * pitchHopMillis
  if (speechMillis < speechMillisMin) {
    return { refused: `holds ${speechMillis} ms of sound; at least ${speechMillisMin} ms of speech are needed` }
  }
  const voiced = trackPitch(samples, sampleRate, (frame) => heard[frame] ?? false).filter((hz) => hz > 0).toSorted()
  const voicedMillis = voiced.length * pitchHopMillis
  if (voicedMillis < Math.max(voicedMillisMin, voicedShareMin * speechMillis)) {
    return { refused: `has a pitch in ${voicedMillis} ms of ${speechMillis} ms of sound: this is no speaking voice` }
  }
  const f0Hz = quantile(voiced, 0.5)
  const near = voiced.filter((hz) => Math.abs(Math.log2(hz / f0Hz)) < octavesMax)
  return { f0Hz: quantile(near, 0.5), f0Semitones: spread(near), envelopeDb: meanDb }
}

const quantile = (ascending: Float64Array, share: number): number => ascending[Math.floor(share * ascending.length)]!

/** A normal distribution's deviation from its middle 80 %, which creak and octave errors leave alone. */
const spread = (ascending: Float64Array): number =>
  (12 * Math.log2(quantile(ascending, 0.9) / quantile(ascending, 0.1))) / 2.563
