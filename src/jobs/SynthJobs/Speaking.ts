/**
 * Speaks the segments of a job that are not finished yet, several at a time, and keeps each as it is finished.
 *
 * The first one decides who speaks the job: no other backend, engine or model may speak the rest. A backend that is away or
 * full is waited for; what it was doing is not lost but begun anew.
 */
import { Clock, Deferred, Effect, Schedule, Semaphore } from "effect"
import { millisOfBytes } from "../../domain/AudioFormat.ts"
import { BackendFailed, meanings } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { sliceCharacters } from "../../domain/Job.ts"
import type { Segment } from "../../domain/Job.ts"
import { codePoints, paramsOf } from "../../domain/SpeakRequest.ts"
import { Accounting } from "../../services/Accounting.ts"
import type { HoldFacts } from "../../services/Accounting.ts"
import { JobRuns } from "../../services/JobRuns.ts"
import type { Run, RunLost } from "../../services/JobRuns.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import type { SynthesisPlan } from "../../services/Synthesis.ts"
import * as AtWork from "./AtWork.ts"
import type { Segments } from "./Segments.ts"
import type { Shelf } from "./Shelf.ts"

export interface Manners {
  /** Of this job. */
  readonly segmentsAtOnce: number
  /** Asked after every slice of the text. */
  readonly othersWait: Effect.Effect<boolean, Failure>
}

/** How long a run waits for what is away or full before it gives up, ms. */
const patienceMillis = 60_000
/** Times that a backend may break over one segment before the run gives up: another text may not do that to it. */
const breaksMax = 3
/** From 250 ms, doubling to 2 s. */
const again = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("2 seconds")])
const placeEvery = "250 millis"

/** Whether every segment is on the shelf; otherwise others wait, and there is more to do. */
export const speak = Effect.fnUntraced(function*(
  run: Run,
  cuts: ReadonlyArray<Segment>,
  segments: Segments,
  shelf: Shelf,
  { othersWait, segmentsAtOnce }: Manners
): Effect.fn.Return<boolean, Failure | RunLost, Synthesis | Accounting | JobRuns> {
  const synthesis = yield* Synthesis
  const accounting = yield* Accounting
  const runs = yield* JobRuns
  const { caller, speak } = run.request
  const textOf = (index: number) => speak.text.slice(cuts[index - 1]?.end ?? 0, cuts[index]!.end)
  const charactersOf = cuts.map((_, index) => codePoints(textOf(index)))
  /** The file is put together beside, of what there is. */
  const isAssembling = () => shelf.last.isOpen() && shelf.sizes.size > 0
  const work = yield* AtWork.make(run, isAssembling)
  /** Undefined until it is agreed. */
  const speaker = Effect.suspend(() =>
    Deferred.isDoneUnsafe(shelf.speaker) ? Deferred.await(shelf.speaker) : Effect.succeed(undefined)
  )

  // One at a time: what is counted later is written later.
  const reporting = yield* Semaphore.make(1)
  const report = Effect.suspend(() => {
    let charactersDone = 0
    let bytes = 0
    for (const [index, size] of shelf.sizes) {
      charactersDone += charactersOf[index] ?? 0
      bytes += size
    }
    return Effect.flatMap(speaker, (it) =>
      runs.progress(run, {
        segmentsDone: shelf.sizes.size,
        charactersDone,
        audioMs: it === undefined ? 0 : millisOfBytes(bytes, it.sampleRate)
      }))
  }).pipe(reporting.withPermits(1))

  /** Before anything of the first segment is kept, the job says who speaks it. */
  const agree = Effect.fnUntraced(function*(plan: SynthesisPlan, facts: HoldFacts) {
    const { backend, engine, model, sampleRate } = plan
    const agreed = yield* speaker
    if (agreed === undefined) {
      yield* runs.speaks(run, { backend, engine, model, sampleRate }, {
        nodeId: plan.nodeId,
        reasons: facts.reasons ?? [],
        ignoredParams: plan.ignoredParams
      })
      yield* Deferred.succeed(shelf.speaker, { backend, engine, model, sampleRate })
      return
    }
    if (agreed.engine !== engine || agreed.model !== model || agreed.sampleRate !== sampleRate) {
      return yield* new BackendFailed({
        backend,
        cause: new Error(`${engine} ${model} at ${sampleRate} Hz cannot go on for ${agreed.engine} ${agreed.model}.`)
      })
    }
  })

  const attempt = Effect.fnUntraced(function*(index: number) {
    yield* Effect.retry(
      Effect.tapError(accounting.place(caller.tenantId), () => work.waiting),
      { schedule: Schedule.spaced(placeEvery), while: ({ _tag }) => _tag === "ConcurrencyLimited" }
    )
    yield* work.during
    const facts: HoldFacts = {}
    const { audio, plan } = yield* synthesis.speak({
      requestId: run.row.request_id,
      // What a caller may do was asked when the job was taken.
      caller: { ...caller, permissions: new Set(), credential: { kind: "jwt" } },
      text: textOf(index),
      voiceId: speak.voiceId,
      languageHint: speak.languageHint,
      params: paramsOf(speak),
      preference: speak.backendPreference,
      wordTimes: true,
      tags: [],
      partOf: { synthesisId: run.row.synthesis_id, facts },
      only: (yield* speaker)?.backend,
      unbroken: true
    })
    yield* agree(plan, facts)
    return yield* segments.keep(index, audio)
  }, Effect.scoped)
  const once = (index: number) =>
    Effect.tapError(
      attempt(index),
      ({ _tag }) => _tag === "BackendUnavailable" || _tag === "BackendSaturated" ? work.waiting : Effect.void
    )

  const patiently = <A, E extends Failure | RunLost>(self: Effect.Effect<A, E>) =>
    Effect.flatMap(Clock.currentTimeMillis, (began) => {
      let breaks = 0
      return Effect.retry(self, {
        schedule: again,
        while: (failure) => {
          if (!("code" in failure) || !meanings[failure.code].retryable) return Effect.succeed(false)
          if (failure._tag === "BackendFailed" || failure._tag === "BackendTimeout") {
            return Effect.succeed(++breaks < breaksMax)
          }
          return Effect.map(Clock.currentTimeMillis, (now) => now - began < patienceMillis)
        }
      })
    })

  const one = Effect.fnUntraced(function*(index: number) {
    yield* shelf.add(index, yield* patiently(once(index)))
    yield* patiently(report)
  })

  /** Characters begun since others were last let go first, or did not want to. */
  let slice = 0
  let givesWay = false
  const inTurn = Effect.fnUntraced(function*(index: number) {
    if (slice >= sliceCharacters) {
      slice = 0
      givesWay = yield* patiently(othersWait)
      if (!givesWay) yield* shelf.last.open
    }
    if (givesWay) return
    slice += charactersOf[index]!
    yield* one(index)
  })

  const missing = Array.from(cuts.keys()).filter((index) => !shelf.sizes.has(index))
  const isShort = missing.reduce((sum, index) => sum + charactersOf[index]!, 0) <= sliceCharacters
  if (isShort || (shelf.sizes.size === 0 && !(yield* patiently(othersWait)))) yield* shelf.last.open
  if ((yield* speaker) === undefined && missing.length > 0) yield* inTurn(missing.shift()!)
  yield* Effect.forEach(missing, inTurn, { concurrency: segmentsAtOnce, discard: true })
  return shelf.sizes.size === cuts.length
})
