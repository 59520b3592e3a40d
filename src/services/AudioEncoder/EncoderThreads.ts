/**
 * The threads that encode: kept warm, shared by all encodings, each encoding on the thread that has the fewest.
 *
 * Promises: an encoding has at most one batch of PCM in its thread, so a slow reader holds the speech back and no queue
 * grows; patient encodings together keep at most half of the threads busy, of one thread every other turn, however many
 * they are; closing the scope frees the encoder at once; a thread that dies fails only its own encodings, as a defect, and
 * another takes its place.
 */
import { Context, Effect, Layer, type Scope, Semaphore } from "effect"
import { Worker } from "node:worker_threads"
import { held } from "../Held.ts"
import type { FromThread, ToThread } from "./EncoderThread.ts"
import type { EncodingOptions } from "./Encoding.ts"

export interface RemoteEncoding {
  /** Hands a batch of s16le PCM over (its buffer is gone after) and waits for the bytes settled by now, perhaps none. */
  readonly push: (pcm: Uint8Array<ArrayBuffer>) => Effect.Effect<Uint8Array>
  /** The bytes of everything pushed so far. More may be pushed after. */
  readonly settle: Effect.Effect<Uint8Array>
  /** The last bytes. Nothing may be asked of the encoding after. */
  readonly end: Effect.Effect<Uint8Array>
}

export class EncoderThreads extends Context.Service<EncoderThreads, {
  /** The encoding is cancelled when its scope closes, wherever it is. */
  readonly open: (options: EncodingOptions) => Effect.Effect<RemoteEncoding, never, Scope.Scope>
  /** Encodings that each thread holds, by the thread's own count. */
  readonly held: Effect.Effect<ReadonlyArray<number>>
}>()("scaispeak/EncoderThreads") {
  static readonly layer = (options: {
    readonly workers: number
    /** Starts the program of one thread. */
    readonly spawn?: () => Worker
  }): Layer.Layer<EncoderThreads> =>
    Layer.effect(EncoderThreads, make(Math.max(1, options.workers), options.spawn ?? spawnThread))
}

// Runs from sources or from what is built of them.
const program = new URL(`./EncoderThread${import.meta.url.slice(-3)}`, import.meta.url)

export const spawnThread = (): Worker => new Worker(program, { name: "audio-encoder" })

type Answer = Effect.Effect<Uint8Array>

interface Session {
  /** Nobody waits in silence for its next piece. */
  isUnhurried: boolean
  /** Set while an answer is awaited. */
  resume: ((answer: Answer) => void) | undefined
  /** Why no answer will come. */
  lost: Answer | undefined
}

const make = Effect.fnUntraced(function*(workers: number, spawn: () => Worker) {
  const seats = Array.from({ length: workers }, () => new Seat(spawn))
  /** Batches of patient encodings that threads may have at once. */
  const patience = Semaphore.makeUnsafe(Math.max(1, Math.floor(workers / 2)))
  yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all(seats.map((seat) => seat.close()))))

  return EncoderThreads.of({
    open: (options) =>
      Effect.map(
        held(
          Effect.sync(() => {
            const seat = seats.reduce((least, other) => (other.load < least.load ? other : least))
            return { seat, id: seat.open(options) }
          }),
          ({ seat, id }) => Effect.sync(() => seat.cancel(id))
        ),
        ({ seat, id }) => {
          const inTurn = options.patient === true ? patience.withPermits(1) : (answer: Answer) => answer
          return {
            push: (pcm) => inTurn(seat.ask(id, { kind: "push", encoding: id, pcm }, [pcm.buffer])),
            settle: inTurn(seat.ask(id, { kind: "settle", encoding: id }, [])),
            end: inTurn(seat.ask(id, { kind: "end", encoding: id }, []))
          }
        }
      ),
    held: Effect.promise(() => Promise.all(seats.map((seat) => seat.count())))
  })
})

/** A place in the pool: one thread at a time, and the encodings that live in it. */
class Seat {
  readonly #spawn: () => Worker
  readonly #sessions = new Map<number, Session>()
  readonly #questions = new Map<number, (encodings: number) => void>()
  /** What the thread is told with the next message, and what goes over to it with that. */
  #said: Array<ToThread> = []
  #transfer: Array<ArrayBuffer> = []
  #next = 0
  #closing = false
  #thread: Worker | undefined

  constructor(spawn: () => Worker) {
    this.#spawn = spawn
    this.#start()
  }

  get load(): number {
    return this.#sessions.size
  }

  open(options: EncodingOptions): number {
    const id = this.#next++
    this.#sessions.set(id, { isUnhurried: options.patient === true, resume: undefined, lost: undefined })
    this.#tell({ kind: "open", encoding: id, options })
    return id
  }

  ask(id: number, message: ToThread, transfer: ReadonlyArray<ArrayBuffer>): Answer {
    return Effect.callback<Uint8Array>((resume) => {
      const session = this.#sessions.get(id)
      if (session === undefined) return resume(Effect.die(new Error("The audio encoding is closed")))
      if (session.lost !== undefined) return resume(session.lost)
      session.resume = resume
      this.#tell(message, transfer)
      if (message.kind === "push" && !session.isUnhurried) {
        session.isUnhurried = true
        this.#post()
      }
      return Effect.sync(() => {
        session.resume = undefined
      })
    })
  }

  cancel(id: number): void {
    const session = this.#sessions.get(id)
    this.#sessions.delete(id)
    if (session !== undefined && session.lost === undefined) this.#tell({ kind: "cancel", encoding: id })
  }

  count(): Promise<number> {
    return new Promise((resolve) => {
      const question = this.#next++
      this.#questions.set(question, resolve)
      this.#tell({ kind: "count", question })
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#thread?.terminate()
  }

  /** All that is said in one turn of the event loop goes in one message: each wakes the thread, and costs as much again. */
  #tell(message: ToThread, transfer: ReadonlyArray<ArrayBuffer> = []): void {
    this.#said.push(message)
    this.#transfer.push(...transfer)
    if (this.#said.length === 1) setImmediate(() => this.#post())
  }

  #post(): void {
    const [said, transfer] = [this.#said, this.#transfer]
    this.#said = []
    this.#transfer = []
    if (this.#closing || said.length === 0) return
    this.#thread ??= this.#start()
    this.#thread.postMessage(said, transfer)
  }

  #start(): Worker {
    const thread = this.#spawn()
    let ready = false
    let fault: unknown
    thread.on("message", (messages: ReadonlyArray<FromThread>) => {
      for (const message of messages) {
        if (message.kind === "ready") ready = true
        else this.#hear(message)
      }
    })
    thread.on("error", (error) => {
      fault = error
    })
    thread.once("exit", (code) => {
      this.#lose(new Error(`An audio encoder thread stopped with ${code}`, { cause: fault }))
      // One that never got ready would do so for ever; it is tried again when there is work.
      this.#thread = undefined
      if (ready && !this.#closing) this.#start()
    })
    this.#thread = thread
    return thread
  }

  #hear(message: Exclude<FromThread, { readonly kind: "ready" }>): void {
    if (message.kind === "counted") {
      this.#questions.get(message.question)?.(message.encodings)
      this.#questions.delete(message.question)
      return
    }
    const session = this.#sessions.get(message.encoding)
    if (session === undefined) return
    const answer = message.kind === "made" ? Effect.succeed(message.bytes) : Effect.die(message.error)
    if (message.kind === "failed") session.lost = answer
    settle(session, answer)
  }

  #lose(error: Error): void {
    for (const session of this.#sessions.values()) {
      session.lost ??= Effect.die(error)
      settle(session, session.lost)
    }
    this.#said = []
    this.#transfer = []
    // What the dead thread held, nobody holds.
    for (const tell of this.#questions.values()) tell(0)
    this.#questions.clear()
  }
}

/** The waiter may ask for more before it returns, so its place is cleared first. */
const settle = (session: Session, answer: Answer): void => {
  const { resume } = session
  session.resume = undefined
  resume?.(answer)
}
