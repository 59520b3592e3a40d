/**
 * How a job is accounted for at its end, in the transaction that ends it: one usage row, of what a backend was asked to
 * speak, and what was reserved of a licence and not spoken given back.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { JobStatus } from "../../domain/Job.ts"
import type { Licences } from "../Licences.ts"
import { insert, usageEntry } from "../sql/LedgerRows.ts"
import type { AccountRow } from "./JobRow.ts"

const outcomes = { completed: "completed", failed: "failed", canceled: "aborted" } as const

/** `row`: as it was before. `code`: what it failed with. */
export const settle = Effect.fnUntraced(function*(
  licences: Licences["Service"],
  row: AccountRow,
  status: Exclude<JobStatus, "queued" | "running">,
  code: string | null,
  now: number
) {
  const sql = yield* SqlClient.SqlClient
  const characters = status === "completed" ? row.characters : row.characters_done
  const unspoken = row.characters - characters
  if (row.license_id !== null && unspoken > 0) {
    yield* licences.giveBack(row.license_id, row.voice_id, unspoken)
  }
  if (row.speaker === null) return
  yield* insert(sql, [usageEntry({
    synthesisId: row.synthesis_id,
    requestId: row.request_id,
    tenantId: row.tenant_id,
    userId: row.user_id,
    keyId: row.key_id,
    voiceId: row.voice_id,
    backend: row.speaker.backend,
    nodeId: row.routing?.nodeId ?? null,
    engine: row.speaker.engine,
    model: row.speaker.model,
    characters,
    audioMs: row.audio_duration_ms ?? 0,
    firstAudioMs: null,
    totalMs: now - (row.started_at ?? row.created_at),
    outcome: outcomes[status],
    errorCode: code,
    routing: { reasons: row.routing?.reasons ?? [], ignoredParams: row.routing?.ignoredParams ?? [] },
    tags: row.tags ?? [],
    createdAt: row.created_at
  }, "stays")])
})
