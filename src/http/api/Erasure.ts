/** Erasing voices and persons, and what shows that it was done. */
import { Effect, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ErasureCounts, ErasureKind, ErasureState } from "../../domain/Erasure.ts"
import { ErasureId, UserId } from "../../domain/Ids.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok, Page } from "./Wire.ts"

const fields = {
  erasure_id: ErasureId,
  kind: ErasureKind,
  subject: Schema.String.annotate({
    description: "The voice's id; of a person the SHA-256 of tenant id, line feed and user id."
  }),
  counts: ErasureCounts.annotate({ description: "How many of each went." }),
  requested_at: Schema.DateTimeUtcFromString
}

export const ErasureRecord = Schema.Struct({
  ...fields,
  status: ErasureState.annotate({
    description: "`pending`; `done` when everything is gone; `closed` when it was looked for again, an hour later."
  }),
  status_reason: Schema.NullOr(Schema.String),
  attempts: Schema.Natural,
  done_at: Schema.NullOr(Schema.DateTimeUtcFromString)
})

const ErasureAuditRecord = Schema.Struct({
  ...fields,
  requested_by_sha256: Schema.String.annotate({ description: "Of tenant id, line feed and user id of whoever asked." }),
  done_at: Schema.DateTimeUtcFromString
})

const Verification = Schema.Struct({
  erasure_id: ErasureId,
  complete: Schema.Boolean,
  left: Schema.Array(Schema.Struct({ kind: Schema.String, count: Schema.Natural })).annotate({
    description:
      "What there still is: in the database, the object store, Redis, and the caches of the process that answers."
  })
})

export const Accepted = Ok(ErasureRecord).pipe(HttpApiSchema.status(202))

const limit = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: 1, maximum: 200 })
).annotate({ description: "1 to 200; 50 when absent." })

const params = { erasure_id: Schema.String }

export class Erasures extends HttpApiGroup.make("erasures").add(
  HttpApiEndpoint.delete("eraseVoice", "/voices/:voice_id", {
    params: { voice_id: Schema.String },
    success: Accepted,
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:voice.write").annotateMerge(OpenApi.annotations({
    summary: "Erase a voice",
    description:
      "It is gone for everybody at once; calls that run in it are broken off, on every process. Recordings, consents, "
      + "cached clips, kept replies and jobs in it follow. Again: how far that is. For its owner, and for a shared voice "
      + "for tenant administrators, too."
  })),
  HttpApiEndpoint.delete("eraseGlobalVoice", "/admin/voices/global/:voice_id", {
    params: { voice_id: Schema.String },
    success: Accepted,
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Erase a global voice",
    description:
      "As any voice. A preset that an engine goes on listing does not come back; terms and use of its licence stay on "
      + "record, without the document. Super admins only."
  })),
  HttpApiEndpoint.post("eraseUser", "/admin/erasure", {
    payload: Schema.Struct({ user_id: UserId }),
    success: Accepted,
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Erase a person",
    description:
      "Of the caller's tenant: their voices, keys, kept replies and jobs. What others need, usage and the audit log, names "
      + "the erasure instead of the person."
  })),
  HttpApiEndpoint.get("erasureAudit", "/admin/erasure/audit", {
    query: {
      limit: limit.pipe(Schema.withDecodingDefaultKey(Effect.succeed("50"))),
      cursor: Schema.optionalKey(ErasureId)
    },
    success: Ok(Page(ErasureAuditRecord)),
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "List what was erased",
    description: "The tenant's erasures that are done, newest first. These rows are never changed."
  })),
  HttpApiEndpoint.get("erasure", "/admin/erasure/:erasure_id", {
    params,
    success: Ok(ErasureRecord),
    error: failures("SCAISPEAK_ERASURE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({ summary: "Get an erasure" })),
  HttpApiEndpoint.get("verifyErasure", "/admin/erasure/:erasure_id/verify", {
    params,
    query: { user_id: Schema.optionalKey(UserId) },
    success: Ok(Verification),
    error: failures("SCAISPEAK_ERASURE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Look for what an erasure left",
    description: "For the erasure of a person `user_id` has to name them again: nothing here does."
  }))
) {}
