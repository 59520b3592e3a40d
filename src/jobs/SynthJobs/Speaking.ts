/**
 * Speaks the segments of a job that are not finished yet, several at a time, and keeps each as it is finished.
 *
 * The first one decides who speaks the job: no other backend, engine or model may speak the rest. A backend that is away or
 * full is waited for; what it was doing is not lost but begun anew.
 */
import { Clock, Effect, Ref, Schedule, Semaphore } from "effect"
import { millisOfBytes } from "../../domain/AudioFormat.ts"
import { BackendFailed, meanings } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { sliceCharacters } from "../../domain/Job.ts"
import type { Segment, Speaker } from "../../domain/Job.ts"
import { codePoints, paramsOf } from "../../domain/SpeakRequest.ts"
import { Accounting } from "../../services/Accounting.ts"
import type { HoldFacts } from "../../services/Accounting.ts"
import { JobRuns } from "../../services/JobRuns.ts"
import type { Run, RunLost } from "../../services/JobRuns.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import type { SynthesisPlan } from "../../services/Synthesis.ts"
import type { Segments } from "./Segments.ts"

export interface Spoken {
  readonly speaker: Speaker
  /** Bytes of each segment. */
  readonly sizes: ReadonlyArray<number>
}

/** How long a run waits for what is away or full before it gives up, ms. */
const patienceMillis = 60_000
/** Times that a backend may break over one segment before the run gives up: another text may not do that to it. */
const breaksMax = 3
/** From 250 ms, doubling to 2 s. */
const again = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("2 seconds")])
const placeEvery = "250 millis"

/**
 * Ends when every segment is finished, or after a slice of the text; then the result is undefined and there is more to do.
 * `segmentsAtOnce`: of this job.
 */
export const speak = Effect.fnUntraced(function*(
  run: Run,
  cuts: ReadonlyArray<Segment>,
  segments: Segments,
  segmentsAtOnce: number
): Effect.fn.Return<Spoken | undefined, Failure | RunLost, Synthesis | Accounting | JobRuns> {
  const synthesis = yield* Synthesis
  const accounting = yield* Accounting
  const runs = yield* JobRuns
  const { caller, speak } = run.request
  const finished = yield* segments.finished
  const textOf = (index: number) => speak.text.slice(cuts[index - 1]?.end ?? 0, cuts[index]!.end)
  const charactersOf = cuts.map((_, index) => codePoints(textOf(index)))
  const speaker = yield* Ref.make<Speaker | undefined>(finished.size === 0 ? undefined : run.row.speaker ?? undefined)

  // One at a time: what is counted later is written later.
  const reporting = yield* Semaphore.make(1)
  const report = Effect.suspend(() => {
    let charactersDone = 0
    let bytes = 0
    for (const [index, size] of finished) {
      charactersDone += charactersOf[index] ?? 0
      bytes += size
    }
    return Effect.flatMap(Ref.get(speaker), (it) =>
      runs.progress(run, {
        segmentsDone: finished.size,
        charactersDone,
        audioMs: it === undefined ? 0 : millisOfBytes(bytes, it.sampleRate)
      }))
  }).pipe(reporting.withPermits(1))

  /** Before anything of the first segment is kept, the job says who speaks it. */
  const agree = Effect.fnUntraced(function*(plan: SynthesisPlan, facts: HoldFacts) {
    const { backend, engine, model, sampleRate } = plan
    const agreed = yield* Ref.get(speaker)
    if (agreed === undefined) {
      yield* runs.speaks(run, { backend, engine, model, sampleRate }, {
        nodeId: plan.nodeId,
        reasons: facts.reasons ?? [],
        ignoredParams: plan.ignoredParams
      })
      return yield* Ref.set(speaker, { backend, engine, model, sampleRate })
    }
    if (agreed.engine !== engine || agreed.model !== model || agreed.sampleRate !== sampleRate) {
      return yield* new BackendFailed({
        backend,
        cause: new Error(`${engine} ${model} at ${sampleRate} Hz cannot go on for ${agreed.engine} ${agreed.model}.`)
      })
    }
  })

  const once = Effect.fnUntraced(function*(index: number) {
    yield* Effect.retry(accounting.place(caller.tenantId), Schedule.spaced(placeEvery))
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
      only: (yield* Ref.get(speaker))?.backend,
      unbroken: true
    })
    yield* agree(plan, facts)
    return yield* segments.keep(index, audio)
  }, Effect.scoped)

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
    finished.set(index, yield* patiently(once(index)))
    yield* patiently(report)
  })

  let slice = 0
  const missing: Array<number> = []
  for (const index of cuts.keys()) {
    if (finished.has(index)) continue
    missing.push(index)
    slice += charactersOf[index]!
    if (slice >= sliceCharacters) break
  }
  if ((yield* Ref.get(speaker)) === undefined && missing.length > 0) yield* one(missing.shift()!)
  yield* Effect.forEach(missing, one, { concurrency: segmentsAtOnce, discard: true })
  if (finished.size < cuts.length) return undefined
  return { speaker: (yield* Ref.get(speaker))!, sizes: cuts.map((_, index) => finished.get(index)!) }
})
