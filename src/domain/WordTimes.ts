/** Estimated word times, for backends that give none: each word gets time by its share of the letters. */
import type { SpokenWord } from "./PcmChunk.ts"

/** Words are runs without white space. The spans are contiguous, in order, and fill `durationMs`. */
export const estimate = (text: string, durationMs: number): ReadonlyArray<SpokenWord> => {
  const words = text.split(/\s+/u).filter((word) => word !== "")
  const letters = words.reduce((sum, word) => sum + word.length, 0)
  let spoken = 0
  return words.map((word) => {
    const startMs = Math.round((spoken / letters) * durationMs)
    spoken += word.length
    return { text: word, startMs, endMs: Math.round((spoken / letters) * durationMs), source: "estimated" as const }
  })
}
