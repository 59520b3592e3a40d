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
      29, 26.3, 25.3, 25.3, 19, 19.4, 16.3, 12, 6.6, 4.2, 2.2, -0.5, -2.1, -1.4, -2, -3.3, -3.7, -4.6, -5.8, -5.1,
      -3.8, -2.6, 0.5, 3.4, 4.3, 2.7, 0.6, 0.3, 0.4, -1.9, -6.9, -12, -14.9, -16.6, -18.1, -18.4, -18.2, -18, -18.4, -19.3
    ],
    warpPercentMin: 88,
    warpPercentMax: 112
  },
  {
    name: "kal16",
    f0Hz: 91,
    // dprint-ignore
    envelopeDb: [
      17.1, 20.2, 18.5, 16.7, 16, 17.1, 16.7, 14.1, 12, 9.5, 7.2, 5.6, 4, 3.1, 2.1, 0.9, 0.6, -0.2, -1.8, -3,
      -4.3, -4.7, -3.9, -2.8, -2.3, -3.6, -3.8, -3.1, -4.1, -6.5, -8.6, -10.1, -11.9, -13.5, -15.2, -16.2, -16.4, -15.5, -14.3, -15.5
    ],
    warpPercentMin: 94,
    warpPercentMax: 118
  },
  {
    name: "slt",
    f0Hz: 174,
    // dprint-ignore
    envelopeDb: [
      29.2, 34.9, 29.4, 15.6, 21.3, 16.8, 13.5, 15, 9, 7.1, 2.9, -1.2, -2.6, -1.9, -3, -5.5, -7, -7.6, -7.4, -7.1,
      -7.2, -7, -7.3, -8.4, -6.7, -4.2, -3.2, -3.9, -5.6, -6.9, -5.5, -5, -8.1, -10.4, -7.4, -5.5, -8.6, -11.6, -11.9, -16.6
    ],
    warpPercentMin: 80,
    warpPercentMax: 102
  }
]
