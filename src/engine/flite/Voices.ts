/**
 * The four voices inside the Flite build, and the gain that puts each at the same loudness.
 *
 * Gains were measured so: each voice spoke the twenty Harvard sentences of `test/recogniser/harvard.ts` at pace 1 and gain
 * 1; the active level of all of it together (see `Loudness.ts`) was -17.90 dBFS for awb, -25.99 for kal16, -19.46 for rms
 * and -13.55 for slt; the gain is what lies between that and {@link targetDbfs}. `test/engine/Loudness.test.ts` measures the
 * outcome.
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
    gain: 0.786
  },
  {
    name: "kal16",
    displayName: "Kal",
    description: "American man, crisp and plainly synthetic. The fastest to make.",
    languages: ["en"],
    gender: "male",
    styleTags: ["american", "robotic", "announcement"],
    gain: 1.993
  },
  {
    name: "rms",
    displayName: "Ross",
    description: "American man, deep and calm.",
    languages: ["en"],
    gender: "male",
    styleTags: ["american", "calm", "narration"],
    gain: 0.94
  },
  {
    name: "slt",
    displayName: "Sarah",
    description: "American woman, bright and friendly.",
    languages: ["en"],
    gender: "female",
    styleTags: ["american", "bright", "conversational"],
    gain: 0.476
  }
]
