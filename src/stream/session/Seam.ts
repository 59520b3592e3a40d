/**
 * What is heard between two segments that were spoken by separate calls: as much as between the same two parts of one text.
 *
 * An engine ends every text as it ends a sentence. Where the text goes on in mid-sentence the silence at the end is cut to
 * that of a clause; where a paragraph ends it is made longer; behind a sentence it is the engine's own, sample for sample.
 * Only digital silence is ever cut.
 */
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import type { Pause } from "../../domain/Segmenter.ts"

/** The pauses that the embedded engine makes within a text; ms. */
const clauseMillisMax = 120
const paragraphMillisMore = 350

export interface Seam {
  /** What may go on now. */
  readonly push: (pcm: Uint8Array) => ReadonlyArray<Uint8Array>
  /** What belongs to the end of the segment. */
  readonly end: () => ReadonlyArray<Uint8Array>
}

export const makeSeam = (pause: Pause, sampleRate: number): Seam => {
  const silence = (ms: number) => Math.round((ms * sampleRate) / 1000) * bytesPerSample
  if (pause === "sentence") return { push: (pcm) => [pcm], end: () => [] }
  if (pause === "paragraph") {
    return { push: (pcm) => [pcm], end: () => [new Uint8Array(silence(paragraphMillisMore))] }
  }
  /** Bytes of silence at the end of what came so far. */
  let held = 0
  return {
    push: (pcm) => {
      let end = pcm.length
      while (end > 0 && pcm[end - 1] === 0) end--
      end += end % bytesPerSample
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
