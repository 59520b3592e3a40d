/**
 * The voices of the build that can be bent to another one, as they sound unbent. `rms` is not among them: it keeps its
 * pitch whatever it is asked for.
 *
 * Measured so: each voice spoke the twenty Harvard sentences of `test/recogniser/harvard.ts` at pace 1; pitch and spectrum
 * are those of `fit/Profile.ts`, the spectrum less its mean. `test/engine/fit/Match.test.ts` measures them again. The
 * limits of the warp are where a recogniser still understands two words of three.
 */
import type { Base } from "../fit/Match.ts"

export const bases: ReadonlyArray<Base> = [
  {
    name: "awb",
    f0Hz: 132,
    // dprint-ignore
    envelopeDb: [
      31, 27.9, 27, 27.6, 20.9, 21.6, 18.2, 13.8, 8.2, 5.5, 3.4, 0.6, -1.2, -0.6, -1.4, -3, -3.4, -4.5, -6.1, -5.6,
      -4.3, -2.9, 0.4, 3.6, 4.3, 2.3, 0.1, -0.3, -0.3, -3.1, -8.8, -14.5, -17.3, -18.8, -20, -20.1, -19.8, -19.6, -20, -20.9
    ],
    warpPercentMin: 88,
    warpPercentMax: 112
  },
  {
    name: "kal16",
    f0Hz: 91,
    // dprint-ignore
    envelopeDb: [
      17.6, 21.1, 19.4, 17.7, 17.2, 18.7, 18.4, 15.8, 13.6, 10.8, 8.2, 6.4, 4.7, 3.7, 2.5, 1.2, 0.9, 0, -1.7, -3.1,
      -4.5, -4.9, -4, -2.9, -2.4, -3.7, -4, -3.2, -4.4, -7.1, -9.4, -11.2, -13.2, -15, -16.9, -18.1, -18.2, -17.2, -15.9, -17.2
    ],
    warpPercentMin: 94,
    warpPercentMax: 118
  },
  {
    name: "slt",
    f0Hz: 174,
    // dprint-ignore
    envelopeDb: [
      31.5, 37.6, 31.8, 16.8, 23.5, 18.6, 15.1, 17.1, 10.6, 8.6, 4.3, 0, -1.7, -1.1, -2.3, -5.1, -6.7, -7.3, -7.3, -7.1,
      -7.4, -7.5, -7.9, -8.9, -7.2, -4.8, -4, -4.9, -6.9, -8.1, -6.7, -6.3, -9.6, -12, -9.1, -7.3, -10.4, -13.8, -14.8, -19.5
    ],
    warpPercentMin: 80,
    warpPercentMax: 102
  }
]
