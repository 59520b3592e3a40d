/**
 * What goes with a voice, in this order: the calls that run in it, what others could still hear, what is stored, what
 * names the speaker.
 *
 * What stays: usage, provenance and the audit log name the voice by its id, the ledger of consents has its hashes, and a
 * licence its terms and what was used of it. Engine nodes hold clips in memory alone, as many as they have room for.
 */
import { Clock, Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { erasureUnderWay } from "../../domain/Erasure.ts"
import type { ConsentId, TenantId } from "../../domain/Ids.ts"
import { Consents } from "../Consents.ts"
import { orUnavailable } from "../Database.ts"
import { ErasedClips } from "../ErasedClips.ts"
import { Idempotency } from "../Idempotency.ts"
import { JobExpiry } from "../JobExpiry.ts"
import { ObjectStore } from "../ObjectStore.ts"
import { ReferenceCache } from "../ReferenceCache.ts"
import { RunningVoices } from "../RunningVoices.ts"
import { affected } from "../sql/Dialect.ts"
import { isThere } from "../sql/ErasedVoice.ts"
import type { VoiceSubject } from "../sql/ErasureRow.ts"
import { voiceFolder } from "../VoiceIntake/Blobs.ts"
import { VoiceWarmRegistry } from "../VoiceWarmRegistry.ts"
import { countWith } from "./Count.ts"
import type { Step } from "./Step.ts"

export const make: Effect.Effect<
  ReadonlyArray<Step<VoiceSubject>>,
  never,
  | SqlClient.SqlClient
  | RunningVoices
  | Idempotency
  | ObjectStore
  | ErasedClips
  | ReferenceCache
  | VoiceWarmRegistry
  | Consents
  | JobExpiry
> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const running = yield* RunningVoices
  const replies = yield* Idempotency
  const objects = yield* ObjectStore
  const clips = yield* ErasedClips
  const cache = yield* ReferenceCache
  const warm = yield* VoiceWarmRegistry
  const jobs = yield* JobExpiry
  const consents = yield* Consents

  const count = countWith(sql)
  const none = Effect.succeed(0)

  /** Consents whose details are there. */
  const named = (voiceId: string) =>
    sql<{ readonly consent_id: ConsentId; readonly tenant_id: TenantId }>`
      SELECT consent_id, tenant_id FROM consents WHERE voice_id = ${voiceId} AND erased_at IS NULL`

  return [
    {
      kind: "running_calls",
      erase: ({ voiceId }) => Effect.as(running.stop(voiceId, erasureUnderWay), 0),
      left: () => none
    },
    {
      kind: "kept_replies",
      erase: ({ voiceId }) => replies.erase({ voiceId }),
      left: ({ voiceId }) => replies.count({ voiceId })
    },
    {
      kind: "jobs",
      erase: ({ voiceId }) => jobs.erase({ voiceId }),
      left: ({ voiceId }) =>
        count(sql`synth_jobs WHERE voice_id = ${voiceId} AND (purge_at IS NOT NULL OR callback_url IS NOT NULL)`)
    },
    {
      kind: "objects",
      erase: ({ voiceId }) => objects.removeAll(voiceFolder(voiceId)),
      left: ({ voiceId }) => Stream.runCount(objects.list(voiceFolder(voiceId)))
    },
    {
      kind: "cached_clips",
      erase: (subject) => clips.erase(subject.clips),
      left: (subject) => Effect.sync(() => cache.held().filter((sha256) => subject.clips.includes(sha256)).length)
    },
    {
      kind: "warm_marks",
      erase: ({ voiceId }) =>
        Effect.flatMap(warm.warmNodes(voiceId, 0), (nodes) => Effect.as(warm.drop(voiceId), nodes.length)),
      left: ({ voiceId }) => Effect.map(warm.warmNodes(voiceId, 0), (nodes) => nodes.length)
    },
    {
      kind: "consents",
      erase: ({ voiceId }) =>
        Effect.flatMap(orUnavailable(named(voiceId)), (rows) =>
          Effect.as(
            Effect.forEach(rows, ({ consent_id, tenant_id }) => consents.erase(tenant_id, consent_id), {
              discard: true
            }),
            rows.length
          )),
      left: ({ voiceId }) => Effect.map(orUnavailable(named(voiceId)), (rows) => rows.length)
    },
    {
      kind: "licence_documents",
      erase: ({ voiceId }) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            orUnavailable(affected(sql`UPDATE voice_licences SET document_key = NULL, updated_at = ${now}
            WHERE voice_id = ${voiceId} AND document_key IS NOT NULL`))
        ),
      left: ({ voiceId }) => count(sql`voice_licences WHERE voice_id = ${voiceId} AND document_key IS NOT NULL`)
    },
    {
      // It was emptied in the moment that the erasure was asked for.
      kind: "voices",
      erase: () => none,
      left: ({ voiceId }) => count(sql`voices WHERE voice_id = ${voiceId} AND ${sql.literal(isThere)}`)
    }
  ]
})
