/**
 * What goes with a person in a tenant: their voices, each by an erasure of its own; their keys; what they asked for; their
 * name wherever else a row has it.
 *
 * What stays is what others need: how much was used, and who did what. There the erasure's own id stands for the person, in
 * every row the same, so that sums and order stay true and nothing leads back. The ledger of consents has the id of whoever
 * revoked a consent of somebody else; its hash is over it.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { ErasureId } from "../../domain/Ids.ts"
import { ApiKeys } from "../ApiKeys.ts"
import { orUnavailable } from "../Database.ts"
import { Idempotency } from "../Idempotency.ts"
import { JobExpiry } from "../JobExpiry.ts"
import { Recordings } from "../Recordings.ts"
import { affected } from "../sql/Dialect.ts"
import { decodeVoiceSubject } from "../sql/ErasureRow.ts"
import type { UserSubject } from "../sql/ErasureRow.ts"
import { countWith } from "./Count.ts"
import { VoicesPending } from "./Step.ts"
import type { Step } from "./Step.ts"

/** Rows of one statement, so that none holds locks for long. */
const rowsMax = 500

export type ErasedUser = UserSubject & { readonly erasureId: ErasureId }

export const make: Effect.Effect<
  ReadonlyArray<Step<ErasedUser>>,
  never,
  SqlClient.SqlClient | ApiKeys | Idempotency | JobExpiry | Recordings
> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const keys = yield* ApiKeys
  const replies = yield* Idempotency
  const jobs = yield* JobExpiry
  const recordings = yield* Recordings

  const count = countWith(sql)

  /** Rows of a table that name the person; `changes` take the name out. */
  const rows = (
    kind: string,
    table: string,
    key: string,
    owner: string,
    changes: (erasureId: ErasureId) => Record<string, string | null>
  ): Step<ErasedUser> => {
    const theirs = ({ tenantId, userId }: UserSubject) => sql`tenant_id = ${tenantId} AND ${sql(owner)} = ${userId}`
    return {
      kind,
      erase: Effect.fnUntraced(function*(subject) {
        for (let changed = 0;;) {
          const some = yield* sql<Record<string, string>>`SELECT ${sql(key)} FROM ${sql(table)}
            WHERE ${theirs(subject)} LIMIT ${sql.literal(String(rowsMax))}`
          if (some.length === 0) return changed
          yield* sql`UPDATE ${sql(table)} SET ${sql.update(changes(subject.erasureId))}
            WHERE ${sql.in(key, some.map((row) => row[key]!))}`
          changed += some.length
        }
      }, orUnavailable),
      left: (subject) => count(sql`${sql(table)} WHERE ${theirs(subject)}`)
    }
  }

  const namedIn = Effect.fnUntraced(function*({ tenantId, userId }: UserSubject) {
    const open = yield* orUnavailable(sql<{ readonly erasure_id: ErasureId }>`SELECT erasure_id, subject_json
      FROM erasures WHERE tenant_id = ${tenantId} AND kind = 'voice' AND state <> 'closed'`)
    const all = yield* Effect.forEach(
      open,
      (row) => Effect.map(decodeVoiceSubject(row), (about) => ({ about, erasureId: row.erasure_id }))
    )
    return all.filter(({ about }) => about.ownerUserId === userId)
  })
  const ofJobs = rows("jobs", "synth_jobs", "job_id", "user_id", (user_id) => ({ user_id, key_id: null }))

  return [
    {
      kind: "api_keys",
      erase: ({ erasureId, tenantId, userId }) => keys.eraseOwner({ tenantId, userId }, erasureId),
      left: ({ tenantId, userId }) => count(sql`api_keys WHERE tenant_id = ${tenantId} AND user_id = ${userId}`)
    },
    {
      kind: "kept_replies",
      erase: ({ tenantId, userId }) => replies.erase({ tenantId, userId }),
      left: ({ tenantId, userId }) => replies.count({ tenantId, userId })
    },
    {
      kind: "jobs",
      erase: (subject) => Effect.flatMap(jobs.erase(subject), (count) => Effect.as(ofJobs.erase(subject), count)),
      left: ofJobs.left
    },
    { kind: "recordings", erase: recordings.erase, left: recordings.count },
    rows("usage_records", "usage_records", "synthesis_id", "user_id", (user_id) => ({
      user_id,
      key_id: null,
      tags: "[]"
    })),
    rows("audit_entries", "audit_log", "audit_id", "actor_user_id", (actor_user_id) => ({ actor_user_id })),
    {
      // Voices that they had erased before: until those are closed they say whose they were.
      kind: "erasures",
      erase: Effect.fnUntraced(function*(subject) {
        const theirs = yield* namedIn(subject)
        for (const { about, erasureId } of theirs) {
          yield* orUnavailable(sql`UPDATE erasures
            SET subject_json = ${JSON.stringify({ ...about, ownerUserId: null })} WHERE erasure_id = ${erasureId}`)
        }
        return theirs.length
      }),
      left: (subject) => Effect.map(namedIn(subject), ({ length }) => length)
    },
    {
      kind: "users",
      erase: ({ tenantId, userId }) =>
        orUnavailable(affected(sql`DELETE FROM users WHERE tenant_id = ${tenantId} AND user_id = ${userId}`)),
      left: ({ tenantId, userId }) => count(sql`users WHERE tenant_id = ${tenantId} AND user_id = ${userId}`)
    },
    {
      kind: "voices",
      erase: Effect.fnUntraced(function*({ erasureId }) {
        const voices = yield* count(sql`erasures WHERE parent_id = ${erasureId} AND state = 'pending'`)
        if (voices > 0) return yield* new VoicesPending({ voices })
        return yield* count(sql`erasures WHERE parent_id = ${erasureId}`)
      }),
      left: ({ tenantId, userId }) => count(sql`voices WHERE tenant_id = ${tenantId} AND owner_user_id = ${userId}`)
    }
  ]
})
