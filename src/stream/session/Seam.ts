/**
 * What is heard between two segments that were spoken by separate calls: as much as between the same two parts of one text.
 *
 * An engine ends every text as it ends a sentence. Where the text goes on in mid-sentence the silence at the end is cut to
 * that of a clause; where a paragraph ends it is made longer, unless the engine has heard the paragraph itself; behind a
 * sentence it is the engine's own, sample for sample. Only digital silence is ever cut.
 */
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import type { Pause } from "../../domain/Segmenter.ts"

/** The pauses that the embedded engine makes within a text; ms. */
const clauseMillisMax = 120
const paragraphMillisMore = 350
const paragraphMillis = 700

export interface Seam {
  /** What may go on now. */
  readonly push: (pcm: Uint8Array) => ReadonlyArray<Uint8Array>
  /** What belongs to the end of the segment. */
  readonly end: () => ReadonlyArray<Uint8Array>
}

export const makeSeam = (pause: Pause, sampleRate: number): Seam => {
  const silence = (ms: number) => Math.round((ms * sampleRate) / 1000) * bytesPerSample
  if (pause === "sentence") return { push: (pcm) => [pcm], end: () => [] }
  /** Bytes of silence at the end of what came so far. */
  let held = 0
  if (pause === "paragraph") {
    return {
      push: (pcm) => {
        const end = soundEnd(pcm)
        held = end === 0 ? held + pcm.length : pcm.length - end
        return [pcm]
      },
      end: () => {
        const more = Math.min(silence(paragraphMillisMore), silence(paragraphMillis) - held)
        return more > 0 ? [new Uint8Array(more)] : []
      }
    }
  }
  return {
    push: (pcm) => {
      const end = soundEnd(pcm)
      const before = held
      if (end === 0) {
        held += pcm.length
        return []
      }
      held = pcm.length - end
      return before === 0 ? [pcm.subarray(0, end)] : [new Uint8Array(before), pcm.subarray(0, end)]
    },
    end: () => held === 0 ? [] : [new Uint8Array(Math.min(held, silence(clauseMillisMax)))]
  }
}

/** Bytes up to the last sample that is not zero. */
const soundEnd = (pcm: Uint8Array): number => {
  let end = pcm.length
  while (end > 0 && pcm[end - 1] === 0) end--
  return end + (end % bytesPerSample)
}
