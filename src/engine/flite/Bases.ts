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
      30.9, 27.7, 26.8, 27.4, 20.7, 21.4, 18.1, 13.6, 8, 5.3, 3.3, 0.5, -1.3, -0.7, -1.5, -3, -3.5, -4.6, -6.1, -5.6,
      -4.4, -3, 0.3, 3.4, 4.1, 2.2, -0.1, -0.4, -0.4, -3.2, -8.8, -14.2, -17, -18.3, -19.5, -19.6, -19.4, -19.2, -19.6, -20.4
    ],
    warpPercentMin: 88,
    warpPercentMax: 112
  },
  {
    name: "kal16",
    f0Hz: 91,
    // dprint-ignore
    envelopeDb: [
      18.1, 21.6, 19.8, 18.2, 17.7, 19.2, 18.9, 16.3, 14.1, 11.3, 8.6, 6.8, 5.1, 4.1, 2.9, 1.6, 1.2, 0.4, -1.4, -2.8,
      -4.2, -4.6, -3.7, -2.6, -2.1, -3.4, -3.7, -2.9, -4.2, -7, -9.6, -11.6, -13.8, -16, -18.6, -20.1, -20.1, -18.5, -16.6, -18.3
    ],
    warpPercentMin: 94,
    warpPercentMax: 118
  },
  {
    name: "slt",
    f0Hz: 174,
    // dprint-ignore
    envelopeDb: [
      30.9, 37, 31.2, 16.3, 23, 18.1, 14.5, 16.6, 10.1, 8.2, 4.2, 0.2, -1.6, -1.1, -2.2, -4.8, -6.3, -6.9, -7, -6.9,
      -7.1, -7.3, -7.7, -8.7, -7.3, -5, -4.2, -5, -6.9, -8, -6.7, -6.5, -9.8, -12, -9.1, -7.4, -10.2, -13.3, -14, -17.3
    ],
    warpPercentMin: 80,
    warpPercentMax: 102
  }
]
