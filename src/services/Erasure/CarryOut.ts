/**
 * Carries erasures out, one after the other: each step, then the audit; an hour later each step again.
 *
 * Whoever takes one has a lease on it and no lock: another process that takes it over does over again what was done, which
 * harms nothing. Counts are written after each step, so one that died in between may have removed more than it says.
 */
import { Clock, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { retryMillis } from "../../domain/Erasure.ts"
import type { ErasureCounts } from "../../domain/Erasure.ts"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import { orUnavailable } from "../Database.ts"
import { affected, keepExisting } from "../sql/Dialect.ts"
import { decodeWork, workColumns } from "../sql/ErasureRow.ts"
import type { VoiceSubject, Work } from "../sql/ErasureRow.ts"
import type { ErasedUser } from "./OfUser.ts"
import type { Step, VoicesPending } from "./Step.ts"

/** Longer than a step takes: removing the folder of a voice is some ten requests. */
const leaseMillis = 60_000
/** Longer than anything that had begun before: an upload has 15 s without progress, a kept reply a minute's lease. */
const secondRoundMillis = 3_600_000
/** That one look takes. */
const dueMax = 20

export const make = Effect.fnUntraced(function*(steps: {
  readonly ofVoice: ReadonlyArray<Step<VoiceSubject>>
  readonly ofUser: ReadonlyArray<Step<ErasedUser>>
}) {
  const sql = yield* SqlClient.SqlClient

  const claim = ({ due_at, erasure_id }: Work, now: number) =>
    Effect.map(
      affected(sql`UPDATE erasures SET due_at = ${now + leaseMillis}, attempts = attempts + 1
        WHERE erasure_id = ${erasure_id} AND due_at = ${due_at}`),
      (rows) => rows === 1
    )

  const take = Effect.fnUntraced(function*<S>(work: Work, steps: ReadonlyArray<Step<S>>, subject: S) {
    const counts: Record<string, number> = { ...work.counts_json }
    for (const { erase, kind } of steps) {
      const count = yield* erase(subject)
      if (count === 0) continue
      counts[kind] = (counts[kind] ?? 0) + count
      yield* orUnavailable(sql`UPDATE erasures SET counts_json = ${JSON.stringify(counts)}
        WHERE erasure_id = ${work.erasure_id}`)
    }
    return counts
  })

  const carryOut = Effect.fn("Erasure.carryOut")(function*(work: Work) {
    const about = work.subject_json
    const counts = yield* "voiceId" in about
      ? take(work, steps.ofVoice, about)
      : take(work, steps.ofUser, { ...about, erasureId: work.erasure_id })
    yield* work.state === "done" ? close(work) : finish(work, counts)
  })

  const finish = Effect.fnUntraced(
    function*(work: Work, counts: ErasureCounts) {
      const { erasure_id, kind, requested_at, requested_by_sha256, subject, tenant_id } = work
      const now = yield* Clock.currentTimeMillis
      const counts_json = JSON.stringify(counts)
      yield* sql`INSERT INTO erasure_audit ${
        sql.insert({
          erasure_id,
          tenant_id,
          kind,
          subject,
          requested_by_sha256,
          counts_json,
          requested_at,
          done_at: now
        })
      } ${keepExisting(sql, "erasure_id")}`
      yield* sql`UPDATE erasures SET state = 'done', reason = NULL, done_at = ${now}, due_at = ${
        now + secondRoundMillis
      }
      WHERE erasure_id = ${erasure_id} AND state = 'pending'`
    },
    sql.withTransaction,
    orUnavailable
  )

  /** From here on the row names nobody. */
  const close = ({ erasure_id, subject_json: about }: Work) => {
    const nobody = "voiceId" in about ? { ...about, ownerUserId: null, clips: [] } : {}
    return orUnavailable(sql`UPDATE erasures SET state = 'closed', reason = NULL, due_at = NULL,
      subject_json = ${JSON.stringify(nobody)} WHERE erasure_id = ${erasure_id}`)
  }

  const putOff = Effect.fnUntraced(function*({ attempts, erasure_id }: Work, why: StorageUnavailable | VoicesPending) {
    const due = (yield* Clock.currentTimeMillis) + retryMillis(attempts)
    if (why._tag === "VoicesPending") {
      yield* Effect.logInfo("an erasure waits for those of voices", { erasure_id, voices: why.voices })
    } else {
      const { cause, store } = why
      yield* Effect.logWarning("an erasure is put off", { erasure_id, store, reason: `${cause}` })
    }
    yield* sql`UPDATE erasures SET due_at = ${due}, reason = ${reasonOf(why)} WHERE erasure_id = ${erasure_id}`
  }, orUnavailable)

  /** A voice before the person whom it belongs to. */
  return Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const due = yield* orUnavailable(Effect.flatMap(
      sql`SELECT ${sql.literal(workColumns)} FROM erasures WHERE due_at <= ${now}
        ORDER BY kind DESC, due_at LIMIT ${sql.literal(String(dueMax))}`,
      Effect.forEach(decodeWork)
    ))
    for (const work of due) {
      if (!(yield* orUnavailable(claim(work, now)))) continue
      yield* Effect.catch(carryOut(work), (failure) => putOff(work, failure))
    }
    return due.length
  }).pipe(Effect.withSpan("Erasure.run"))
})

/** As whoever asks how far it is reads it. */
const reasonOf = (why: StorageUnavailable | VoicesPending): string =>
  why._tag === "VoicesPending"
    ? `voices: ${why.voices} of theirs are not erased yet`
    : `${why.store}: not everything could be removed yet`
