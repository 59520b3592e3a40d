/**
 * The program of one encoder thread: keeps any number of encodings, each fed and answered in turn, but for the first piece of
 * a speech, for which somebody waits in silence: it goes before all pieces that follow others. Nobody waits for a patient
 * one. A long piece is encoded in slices, between which the others have their turn. What is asked and answered meanwhile goes
 * in one message, either way: a message costs its receiver about as much as a piece costs here.
 *
 * Every `push`, `settle` and `end` gets exactly one answer, unless the encoding is cancelled first. A failing encoding is freed,
 * answered with its error, and hurts no other.
 */
import { parentPort } from "node:worker_threads"
import { type Encoding, type EncodingOptions, openEncoding } from "./Encoding.ts"

export type ToThread =
  | { readonly kind: "open"; readonly encoding: number; readonly options: EncodingOptions }
  | { readonly kind: "push"; readonly encoding: number; readonly pcm: Uint8Array<ArrayBuffer> }
  | { readonly kind: "settle"; readonly encoding: number }
  | { readonly kind: "end"; readonly encoding: number }
  | { readonly kind: "cancel"; readonly encoding: number }
  | { readonly kind: "count"; readonly question: number }

export type FromThread =
  /** The codecs are loaded. */
  | { readonly kind: "ready" }
  | { readonly kind: "made"; readonly encoding: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "failed"; readonly encoding: number; readonly error: unknown }
  | { readonly kind: "counted"; readonly question: number; readonly encodings: number }

/** An encoding that could not be opened says so when it is first asked for something. */
const encodings = new Map<number, Encoding | { readonly error: unknown }>()

/** PCM encoded at once: half a second at 16 kHz, some milliseconds of the thread's time. Bytes. */
const sliceBytesMax = 16 * 1024

/** How long an answer may wait for others that go with it, ms; and then for the slice that is being encoded. */
const answerMillisMax = 1

/** What is left of a piece, and what has come of the rest. */
interface Push {
  readonly kind: "push"
  readonly encoding: number
  pcm: Uint8Array<ArrayBuffer>
  readonly made: Array<Uint8Array<ArrayBuffer>>
}

/** Something that takes time. Of one encoding there is one at most. */
type Task = Push | { readonly kind: "settle" | "end"; readonly encoding: number }

/** Encodings that have been given a piece since they were opened or settled. */
const begun = new Set<number>()
const patient = new Set<number>()
const firstPieces: Array<Task> = []
const others: Array<Task> = []

const serve = (port: NonNullable<typeof parentPort>): void => {
  let answers: Array<FromThread> = []
  let answeredAt = 0
  let transfer: Array<ArrayBuffer> = []
  const post = () => {
    if (answers.length > 0) port.postMessage(answers, transfer)
    answers = []
    transfer = []
  }
  const answer = (message: FromThread) => {
    if (answers.length === 0) answeredAt = performance.now()
    answers.push(message)
    if (message.kind === "made") transfer.push(message.bytes.buffer)
  }

  const forget = (id: number) => {
    const encoding = encodings.get(id)
    encodings.delete(id)
    begun.delete(id)
    patient.delete(id)
    if (encoding !== undefined && "free" in encoding) encoding.free()
  }

  /** Answers with what is made, if it is whole. */
  const attempt = (id: number, make: (encoding: Encoding) => Uint8Array<ArrayBuffer> | undefined) => {
    try {
      const encoding = encodings.get(id)
      if (encoding === undefined) return
      if ("error" in encoding) throw encoding.error
      const bytes = make(encoding)
      if (bytes !== undefined) answer({ kind: "made", encoding: id, bytes })
    } catch (error) {
      forget(id)
      answer({ kind: "failed", encoding: id, error })
    }
  }

  const pushSlice = (task: Push) => (encoding: Encoding) => {
    const slice = task.pcm.subarray(0, sliceBytesMax)
    task.pcm = task.pcm.subarray(slice.length)
    task.made.push(encoding.push(slice))
    if (task.pcm.length === 0) return joined(task.made)
    others.push(task)
    return undefined
  }

  const carryOut = (task: Task) => {
    switch (task.kind) {
      case "push":
        return attempt(task.encoding, pushSlice(task))
      case "settle":
        begun.delete(task.encoding)
        return attempt(task.encoding, (encoding) => encoding.settle())
      case "end":
        attempt(task.encoding, (encoding) => encoding.end())
        return forget(task.encoding)
    }
  }

  let working = false
  /** One task a turn: what has come in meanwhile may have to go first. */
  const work = () => {
    const first = firstPieces.shift()
    const task = first ?? others.shift()
    working = task !== undefined
    if (task === undefined) return post()
    carryOut(task)
    if (first !== undefined || performance.now() - answeredAt >= answerMillisMax) post()
    setImmediate(work)
  }
  const enqueue = (task: Task) => {
    const isFirst = task.kind === "push" && !begun.has(task.encoding) && !patient.has(task.encoding)
    if (isFirst) begun.add(task.encoding)
    ;(isFirst ? firstPieces : others).push(task)
    if (!working) setImmediate(work)
    working = true
  }

  const take = (message: ToThread): void => {
    switch (message.kind) {
      case "open":
        if (message.options.patient === true) patient.add(message.encoding)
        try {
          encodings.set(message.encoding, openEncoding(message.options))
        } catch (error) {
          encodings.set(message.encoding, { error })
        }
        return
      case "cancel":
        return forget(message.encoding)
      case "count":
        return answer({ kind: "counted", question: message.question, encodings: encodings.size })
      case "push":
        return enqueue({ ...message, made: [] })
      default:
        return enqueue(message)
    }
  }
  port.on("message", (messages: ReadonlyArray<ToThread>) => {
    messages.forEach(take)
    if (!working) post()
  })
  answer({ kind: "ready" })
  post()
}

const joined = (pieces: ReadonlyArray<Uint8Array<ArrayBuffer>>): Uint8Array<ArrayBuffer> => {
  const [first] = pieces
  if (pieces.length === 1) return first!
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let filled = 0
  for (const piece of pieces) {
    whole.set(piece, filled)
    filled += piece.length
  }
  return whole
}

if (parentPort !== null) serve(parentPort)
