/**
 * Circuit breakers of backends: a node or relay that fails call after call gets none until a probe, made in the
 * background, has succeeded. No caller is the one to find out.
 *
 * What a call asks (is it open?) is answered from memory; what it tells (it failed) is worked off behind it. Circuits are
 * kept in this process and, where there is Redis, there too, so that processes learn from each other within a second;
 * either one open keeps calls away. While Redis is away each process goes by its own.
 */
import { Context, Duration, Effect, Layer, Metric, Option, Queue, Schedule } from "effect"
import type { Scope } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { Redis } from "./Redis.ts"
import * as Persistence from "./Redis/Persistence.ts"

export interface BreakerOptions {
  /** Failures in a row that open a circuit. */
  readonly failures: number
  /** How long it stays open before the first probe, ms; doubles with each probe that fails, up to 30 s. */
  readonly openMs: number
}

export type Outcome = "success" | "failure"

const openMillisMax = 30_000
/** How soon a process learns that another one has opened or closed a circuit. */
const sharedEvery: Duration.Input = "1 second"
/** A probe that takes longer has failed. */
const probeLimit: Duration.Input = "5 seconds"
/** More outcomes than any circuit needs; older ones make room. */
const waitingMax = 256

const openGauge = Metric.gauge("scaispeak_open_circuits", { description: "Backends that get no calls now" })

export class Breakers extends Context.Service<Breakers, {
  /** Whether calls have to stay away. No I/O. */
  readonly isOpen: (key: string) => boolean
  /** How a call ended. Never waits; a call that was abandoned says nothing. */
  readonly note: (key: string, outcome: Outcome) => void
  /** Guards a backend for as long as the scope is open. `probe` succeeds when it works again. */
  readonly watch: (key: string, probe: Effect.Effect<unknown, unknown>) => Effect.Effect<void, never, Scope.Scope>
}>()("scaispeak/Breakers") {
  /** Shared through Redis where there is one. */
  static readonly layer = (options: BreakerOptions): Layer.Layer<Breakers> =>
    Layer.unwrap(Effect.map(Effect.serviceOption(Redis), (redis) =>
      Option.isNone(redis)
        ? Breakers.layerMemory(options)
        : Breakers.layerRedis(options).pipe(Layer.provide(Layer.succeed(Redis, redis.value)))))

  /** Of this process alone. */
  static readonly layerMemory = (options: BreakerOptions): Layer.Layer<Breakers> =>
    Layer.effect(Breakers, Effect.map(inMemory(options), (own) => make(options, own, undefined)))

  static readonly layerRedis = (options: BreakerOptions): Layer.Layer<Breakers, never, Redis> =>
    Layer.effect(
      Breakers,
      Effect.gen(function*() {
        const shared = yield* breaker(options).pipe(
          Effect.provide(
            CircuitBreaker.layerStoreRedis({ prefix: "scaispeak:circuit:" }).pipe(Layer.provide(Persistence.layer))
          )
        )
        return make(options, yield* inMemory(options), shared)
      })
    )
}

const breaker = ({ failures, openMs }: BreakerOptions) =>
  CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(failures),
    openDuration: Schedule.min([Schedule.exponential(openMs), Schedule.spaced(openMillisMax)]),
    onStoreError: "fail"
  })

const inMemory = (options: BreakerOptions) => breaker(options).pipe(Effect.provide(CircuitBreaker.layerStoreMemory()))

interface Watched {
  readonly outcomes: Queue.Queue<Outcome>
  open: boolean
  /** It failed since it last succeeded: only then is a success worth telling. */
  suspect: boolean
}

const make = (
  options: BreakerOptions,
  own: CircuitBreaker.CircuitBreaker,
  shared: CircuitBreaker.CircuitBreaker | undefined
): Breakers["Service"] => {
  const watched = new Map<string, Watched>()
  const breakers = shared === undefined ? [own] : [own, shared]

  const record = (key: string, outcomes: ReadonlyArray<Outcome>) =>
    Effect.forEach(
      breakers,
      (breaker) =>
        Effect.forEach(
          shortened(outcomes, options.failures),
          (outcome) =>
            Effect.ignore(breaker.execute(outcome === "failure" ? Effect.fail(outcome) : Effect.void, { key }))
        ),
      { discard: true }
    )

  /** A store that is away says nothing. Probes where it is time to; says in how many ms the circuit has to be looked at again, `undefined` when closed. */
  const examine = Effect.fnUntraced(function*(
    breaker: CircuitBreaker.CircuitBreaker,
    key: string,
    probe: Effect.Effect<unknown, unknown>
  ) {
    const before = yield* breaker.state(key)
    if (waitOf(before) === 0) {
      yield* Effect.ignore(breaker.execute(Effect.timeout(probe, probeLimit), { key }))
    }
    return waitOf(yield* breaker.state(key))
  }, Effect.orElseSucceed(() => undefined))

  const watch = Effect.fnUntraced(function*(key: string, probe: Effect.Effect<unknown, unknown>) {
    const it: Watched = yield* Effect.acquireRelease(
      Effect.map(Queue.sliding<Outcome>(waitingMax), (outcomes) => {
        const it = { outcomes, open: false, suspect: false }
        watched.set(key, it)
        return it
      }),
      () => Effect.sync(() => watched.delete(key))
    )
    const round = Effect.gen(function*() {
      const waits = yield* Effect.forEach(breakers, (breaker) => examine(breaker, key, probe))
      const open = waits.some((wait) => wait !== undefined)
      if (open !== it.open) {
        it.open = open
        it.suspect = false
        yield* Metric.update(openGauge, [...watched.values()].filter(({ open }) => open).length)
        yield* open ? Effect.logWarning("circuit opened", { key }) : Effect.logInfo("circuit closed", { key })
      }
      if (open) {
        yield* Effect.sleep(Math.max(1, Math.min(...waits.map((wait) => wait ?? Infinity), 1000)))
        // What is told now is about calls from before; the next probe knows better.
        yield* Queue.clear(it.outcomes)
        return
      }
      const told = shared === undefined
        ? yield* Queue.takeAll(it.outcomes)
        : yield* Queue.takeAll(it.outcomes).pipe(Effect.timeoutOrElse({
          duration: sharedEvery,
          orElse: () => Effect.succeed<Array<Outcome>>([])
        }))
      yield* record(key, told)
    })
    yield* Effect.forkScoped(Effect.forever(round))
  })

  return Breakers.of({
    watch,
    isOpen: (key) => watched.get(key)?.open ?? false,
    note: (key, outcome) => {
      const it = watched.get(key)
      if (it === undefined || it.open || (outcome === "success" && !it.suspect)) return
      it.suspect = outcome === "failure"
      Queue.offerUnsafe(it.outcomes, outcome)
    }
  })
}

/** ms until the circuit may be probed; `undefined` when it is closed. */
const waitOf = (state: CircuitBreaker.State): number | undefined => {
  switch (state._tag) {
    case "Closed":
      return undefined
    case "Open":
      return Duration.toMillis(state.retryAfter)
    case "HalfOpen":
      return state.probing ? probingMillis : 0
  }
}

/** Somebody else's probe is running: look again soon. */
const probingMillis = 200

/** A run of failures longer than what opens a circuit says no more than one of that length. */
const shortened = (outcomes: ReadonlyArray<Outcome>, failures: number): ReadonlyArray<Outcome> => {
  let run = 0
  return outcomes.filter((outcome) => {
    run = outcome === "failure" ? run + 1 : 0
    return run <= failures
  })
}
