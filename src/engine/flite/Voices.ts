/**
 * The four voices inside the Flite build, and the gain that puts each at the same loudness.
 *
 * Gains were measured with `bench/voice-gains.ts`-style arithmetic: the active level (see `Loudness.ts`) of the twenty
 * Harvard sentences in `test/recogniser/harvard.ts`, spoken at pace 1 without gain, all pieces together, was compared with
 * {@link targetDbfs}. `test/engine/Loudness.test.ts` repeats the measurement.
 */
import type { Preset } from "../Engine.ts"

/** dBFS, over speech without pauses. Podcasts and assistants sit between -23 and -18. */
export const targetDbfs = -20

export interface FliteVoice extends Preset {
  /** Factor on samples. */
  readonly gain: number
}

export const voices: ReadonlyArray<FliteVoice> = [
  {
    name: "awb",
    displayName: "Alan",
    description: "Scottish English man, warm and even. The clearest of the four.",
    languages: ["en"],
    gender: "male",
    styleTags: ["scottish", "warm", "narration"],
    gain: 1
  },
  {
    name: "kal16",
    displayName: "Kal",
    description: "American man, crisp and plainly synthetic. The fastest to make.",
    languages: ["en"],
    gender: "male",
    styleTags: ["american", "robotic", "announcement"],
    gain: 1
  },
  {
    name: "rms",
    displayName: "Ross",
    description: "American man, deep and calm.",
    languages: ["en"],
    gender: "male",
    styleTags: ["american", "calm", "narration"],
    gain: 1
  },
  {
    name: "slt",
    displayName: "Sarah",
    description: "American woman, bright and friendly.",
    languages: ["en"],
    gender: "female",
    styleTags: ["american", "bright", "conversational"],
    gain: 1
  }
]
