/** What the ledger writes, and the statements that write many of them at once, each row once. */
import { Array, Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { Backend } from "../../domain/BackendPolicy.ts"
import type { ApiKeyId, AuditId, RequestId, SynthesisId, TenantId, UserId, VoiceId } from "../../domain/Ids.ts"
import { keepExisting, overwrite } from "./Dialect.ts"

/** One synthesis that a backend was asked for. Times in ms. */
export interface UsageRecord {
  readonly synthesisId: SynthesisId
  readonly requestId: RequestId
  readonly tenantId: TenantId
  readonly userId: UserId
  /** Null for a JWT. */
  readonly keyId: ApiKeyId | null
  readonly voiceId: VoiceId
  readonly backend: Backend
  readonly nodeId: string | null
  readonly engine: string
  readonly model: string
  /** Code points. */
  readonly characters: number
  readonly audioMs: number
  readonly firstAudioMs: number | null
  readonly totalMs: number
  readonly outcome: "completed" | "aborted" | "failed"
  readonly errorCode: string | null
  /** How it was routed, one sentence each, and which given parameters were not honoured. */
  readonly routing: { readonly reasons: ReadonlyArray<string>; readonly ignoredParams: ReadonlyArray<string> }
  readonly tags: ReadonlyArray<string>
  /** Epoch ms. */
  readonly createdAt: number
}

/** One call to something that a permission guards. */
export interface AuditEntry {
  readonly actorUserId: UserId
  readonly tenantId: TenantId
  readonly action: string
  readonly resourceId: string | null
  readonly outcome: "allowed" | "denied" | "failed"
  readonly requestId: RequestId
  /** Epoch ms; the time of writing it down when absent. */
  readonly createdAt?: number
}

type Row = Readonly<Record<string, string | number | null>>

/** What becomes of a row that is there already: it stays, or it is brought up to date. */
type Existing = "stays" | "gives way"

export interface Entry {
  readonly table: "usage_records" | "audit_log"
  readonly existing: Existing
  readonly row: Row
}

/** What a synthesis comes to while it goes on. Whose it is does not change: an erased name stays erased. */
const progress = [
  "node_id",
  "engine",
  "model",
  "characters",
  "audio_ms",
  "first_audio_ms",
  "total_ms",
  "outcome",
  "error_code",
  "routing"
]

export const usageEntry = (record: UsageRecord, existing: Existing): Entry => ({
  table: "usage_records",
  existing,
  row: {
    synthesis_id: record.synthesisId,
    request_id: record.requestId,
    tenant_id: record.tenantId,
    user_id: record.userId,
    key_id: record.keyId,
    voice_id: record.voiceId,
    backend: record.backend,
    node_id: record.nodeId,
    engine: record.engine,
    model: record.model,
    characters: record.characters,
    audio_ms: record.audioMs,
    first_audio_ms: record.firstAudioMs,
    total_ms: record.totalMs,
    outcome: record.outcome,
    error_code: record.errorCode,
    routing: JSON.stringify(record.routing),
    tags: JSON.stringify(record.tags),
    created_at: record.createdAt
  }
})

export const auditEntry = (auditId: AuditId, entry: AuditEntry, now: number): Entry => ({
  table: "audit_log",
  existing: "stays",
  row: {
    audit_id: auditId,
    tenant_id: entry.tenantId,
    actor_user_id: entry.actorUserId,
    action: entry.action,
    resource_id: entry.resourceId,
    outcome: entry.outcome,
    request_id: entry.requestId,
    created_at: entry.createdAt ?? now
  }
})

const keys = { usage_records: "synthesis_id", audit_log: "audit_id" } as const
const kinds = [["usage_records", "stays"], ["usage_records", "gives way"], ["audit_log", "stays"]] as const

/** Rows of one statement. 256 rows of 19 columns are 4 864 parameters; the databases take 32 766 and 65 535. */
const rowsMax = 256

/** Writes all or nothing. Written twice it is as written once, so a batch of unknown fate is simply sent again. */
export const insert = (
  sql: SqlClient.SqlClient,
  entries: ReadonlyArray<Entry>
): Effect.Effect<void, SqlError.SqlError> => {
  const rest = {
    stays: (table: Entry["table"]) => keepExisting(sql, keys[table]),
    "gives way": (table: Entry["table"]) => overwrite(sql, [keys[table]], progress)
  }
  const statements = kinds.flatMap(([table, existing]) =>
    inPowersOfTwo(entries.filter((entry) => entry.table === table && entry.existing === existing)).map((some) =>
      sql`INSERT INTO ${sql(table)} ${sql.insert(Array.map(some, ({ row }) => row))} ${rest[existing](table)}`
    )
  )
  return statements.length === 1
    ? Effect.asVoid(statements[0]!)
    : sql.withTransaction(Effect.all(statements, { discard: true }))
}

/** So that few different statements are ever prepared. */
const inPowersOfTwo = (entries: ReadonlyArray<Entry>): ReadonlyArray<Array.NonEmptyReadonlyArray<Entry>> => {
  const pieces: Array<Array.NonEmptyReadonlyArray<Entry>> = []
  let from = 0
  for (let size = rowsMax; size >= 1; size /= 2) {
    for (; entries.length - from >= size; from += size) {
      const piece = entries.slice(from, from + size)
      if (Array.isReadonlyArrayNonEmpty(piece)) pieces.push(piece)
    }
  }
  return pieces
}
