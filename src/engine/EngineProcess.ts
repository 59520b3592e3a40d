/**
 * An engine in a process of its own, so that its crash, hang or leak is not the node's.
 *
 * It is READY when its model has been read and has spoken a probe. A process that is lost is started again, each time
 * later, at most {@link restartMillisMax} apart; in between the engine is LOADING, and after {@link loadsMax} models in a
 * row that could not be used it is FAILED, with the reason, and still tried. A call is refused at once unless the engine
 * is READY; only the very first start is waited for, up to `firstWaitMillis`.
 */
import { Deferred, Effect, type Scope, Stream } from "effect"
import { type EngineAbilities, EngineState, type SynthesizeRequest } from "../proto/scaiinfer/v1/audio.ts"
import { type Engine, EngineFailed, type Speech } from "./Engine.ts"
import { ignored, refusal } from "./process/Check.ts"
import { type Child, type ChildLost, type ChildOptions, start } from "./process/Child.ts"
import type { Facts } from "./process/Model.ts"

export interface EngineProcessOptions extends ChildOptions {
  /** Engine kind. */
  readonly name: string
  readonly firstWaitMillis: number
  /** The first restart follows after this; each later one after twice as long. */
  readonly restartMillisMin?: number
}

const restartMillisMinDefault = 200
const restartMillisMax = 30_000
const loadsMax = 3

const nothingKnown: Facts = {
  model: "",
  modelVersion: "",
  languages: [],
  abilities: { cloning: 0, design: false, nativeWordTimes: false, streaming: true },
  presets: [],
  sampleRate: 0,
  deterministic: false,
  honours: [],
  transcriptNeeded: false
}

/** Starts in the background. The process ends with the scope, and is gone when that is closed. */
export const make = (options: EngineProcessOptions): Effect.Effect<EngineProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const engine = new EngineProcess(options)
    yield* Effect.forkScoped(engine.live)
    return engine
  })

export class EngineProcess implements Engine {
  readonly name: string
  state: EngineState = EngineState.LOADING
  stateReason = "its model is being read"
  readonly #options: EngineProcessOptions
  readonly #firstStart = Deferred.makeUnsafe<void>()
  #facts = nothingKnown
  #child: Child | undefined
  /** In a row. */
  #losses = 0
  #failedLoads = 0

  constructor(options: EngineProcessOptions) {
    this.#options = options
    this.name = options.name
  }

  get model(): string {
    return this.#facts.model
  }

  get modelVersion(): string {
    return this.#facts.modelVersion
  }

  get languages(): ReadonlyArray<string> {
    return this.#facts.languages
  }

  get abilities(): EngineAbilities {
    return this.#facts.abilities
  }

  get presets(): Facts["presets"] {
    return this.#facts.presets
  }

  readonly running = (): number => this.#child?.calls.size() ?? 0

  readonly speak = Effect.fnUntraced({ self: this }, function*(this: EngineProcess, request: SynthesizeRequest) {
    yield* Deferred.await(this.#firstStart).pipe(Effect.timeoutOption(this.#options.firstWaitMillis))
    if (this.#child === undefined) return yield* this.#notReady()
    const facts = this.#facts
    const refused = refusal(request, facts)
    if (refused !== undefined) return yield* refused
    return {
      sampleRate: facts.sampleRate,
      ignoredParams: ignored(request, facts),
      deterministic: facts.deterministic,
      // The call may have waited for its turn while the process was lost.
      audio: Stream.suspend(() => this.#child?.calls.speak(request) ?? Stream.fail(this.#notReady()))
    } satisfies Speech
  })

  /** One process after another, without end. */
  readonly live: Effect.Effect<never> = Effect.suspend(() =>
    this.#run().pipe(
      Effect.catch((lost) => this.#pause(lost)),
      Effect.forever
    )
  )

  #notReady(): EngineFailed {
    return new EngineFailed({ reason: this.stateReason })
  }

  #run(): Effect.Effect<never, ChildLost> {
    return Effect.gen({ self: this }, function*() {
      const child = yield* start(this.#options)
      const facts = yield* Deferred.await(child.loaded).pipe(
        Effect.onExit(() =>
          Effect.forEach(child.lines, (line) => Effect.logInfo("engine printed", { engine: this.name, line }))
        )
      )
      this.#facts = facts
      this.#child = child
      this.#failedLoads = 0
      this.state = EngineState.READY
      this.stateReason = ""
      yield* Effect.logInfo("engine ready", { engine: this.name, model: facts.model, version: facts.modelVersion })
      Deferred.doneUnsafe(this.#firstStart, Effect.void)
      return yield* Deferred.await(child.lost)
    }).pipe(Effect.tapError((lost) => Effect.sync(() => this.#note(lost))), Effect.scoped)
  }

  /** At once, while what is left of the process is still ending. */
  #note({ lasting, reason }: ChildLost): void {
    if (this.#child === undefined) this.#failedLoads++
    if (this.#child?.calls.served) this.#losses = 0
    this.#child = undefined
    this.state = lasting || this.#failedLoads >= loadsMax ? EngineState.FAILED : EngineState.LOADING
    this.stateReason = reason
    Deferred.doneUnsafe(this.#firstStart, Effect.void)
  }

  #pause({ reason }: ChildLost): Effect.Effect<void> {
    const { name, restartMillisMin = restartMillisMinDefault } = this.#options
    const againMillis = this.state === EngineState.FAILED
      ? restartMillisMax
      : Math.min(restartMillisMin * 2 ** this.#losses, restartMillisMax)
    this.#losses++
    return Effect.andThen(
      Effect.logError("engine lost", { engine: name, reason, againMillis }),
      Effect.sleep(againMillis)
    )
  }
}
