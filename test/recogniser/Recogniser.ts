/**
 * Hears what is said: an honest reader of our audio, with no knowledge of the text but a list of words.
 *
 * `soundswallower` decodes against a grammar that allows any of the words in any order, its acoustic model trained on
 * people. It needs a second for fifteen of speech, so it runs in two threads, which do not keep the process alive.
 */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"

interface Ear {
  readonly worker: Worker
  busy: number
}

let ears: Array<Ear> = []
let requests = 0

/**
 * The words heard in 16 kHz mono speech, lower case. The vocabulary is plain words; each must be in the recogniser's
 * dictionary. Shorter clips are heard better: give a sentence at a time.
 */
export const recognise = (
  pcm16k: Int16Array,
  vocabulary: ReadonlyArray<string>
): Promise<ReadonlyArray<string>> => {
  const ear = nextEar()
  const id = requests++
  if (ear.busy++ === 0) ear.worker.ref()
  return new Promise<ReadonlyArray<string>>((resolve, reject) => {
    const failed = (cause: Error) => {
      ears = ears.filter((other) => other !== ear)
      settle()
      reject(cause)
    }
    const answered = (
      answer: { readonly id: number; readonly words?: ReadonlyArray<string>; readonly failure?: string }
    ) => {
      if (answer.id !== id) return
      settle()
      if (answer.words === undefined) reject(new Error(answer.failure))
      else resolve(answer.words)
    }
    const settle = () => {
      ear.worker.off("message", answered)
      ear.worker.off("error", failed)
      if (--ear.busy === 0) ear.worker.unref()
    }
    ear.worker.on("message", answered)
    ear.worker.on("error", failed)
    ear.worker.postMessage({ id, pcm16k, vocabulary: [...new Set(vocabulary.map((word) => word.toLowerCase()))] })
  })
}

/** The words of a text as the recogniser writes them. */
export const wordsOf = (text: string): ReadonlyArray<string> => text.toLowerCase().match(/[a-z][a-z']*/gu) ?? []

/** Substitutions, deletions and insertions over the length of the reference: 0 is perfect, above 1 is possible. */
export const wordErrorRate = (reference: ReadonlyArray<string>, heard: ReadonlyArray<string>): number => {
  let row = Array.from({ length: heard.length + 1 }, (_, i) => i)
  reference.forEach((word, i) => {
    const next = [i + 1]
    heard.forEach((other, j) => {
      next.push(Math.min(row[j]! + (word === other ? 0 : 1), row[j + 1]! + 1, next[j]! + 1))
    })
    row = next
  })
  return row[heard.length]! / reference.length
}

/** The least busy thread; a second one starts when the first has work. */
const nextEar = (): Ear => {
  const free = ears.toSorted((a, b) => a.busy - b.busy)[0]
  if (free !== undefined && (free.busy === 0 || ears.length >= Math.min(2, availableParallelism()))) return free
  const worker = new Worker(new URL("./recogniserWorker.ts", import.meta.url))
  worker.setMaxListeners(0)
  worker.unref()
  const ear = { worker, busy: 0 }
  ears.push(ear)
  return ear
}
