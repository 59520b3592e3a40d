/** The envelope of every JSON reply, as schemas: `{status, data, meta}` and `{status, error, meta}`. */
import { Schema } from "effect"
import type { Types } from "effect"
import { Detail, meanings } from "../../domain/Failure.ts"
import type { Code } from "../../domain/Failure.ts"
import { RequestId } from "../../domain/Ids.ts"
import { Preflight } from "../../domain/Preflight.ts"

const meta = Schema.Struct({ request_id: RequestId })

/** A success with its data. */
export const Ok = <S extends Schema.Top>(data: S) => Schema.Struct({ status: Schema.Literal("ok"), data, meta })

export const IdempotencyKey = Schema.String.check(
  Schema.isPattern(/^[\x21-\x7e]{1,255}$/u, { expected: "1 to 255 visible ASCII characters" })
)

/** A page of a list. Cursors are opaque. */
export const Page = <S extends Schema.Top>(item: S) =>
  Schema.Struct({
    items: Schema.Array(item),
    pagination: Schema.Struct({ has_more: Schema.Boolean, next_cursor: Schema.NullOr(Schema.String) })
  })

/** The body of every failure; which codes an endpoint answers stands with each of its statuses. */
const Failed = Schema.Struct({
  status: Schema.Literal("error"),
  error: Schema.Struct({
    code: Schema.Literals(Object.keys(meanings) as ReadonlyArray<Code>),
    message: Schema.String,
    retry_after: Schema.optionalKey(Schema.Number).annotate({ description: "Seconds." }),
    details: Schema.optionalKey(Schema.Array(Detail)),
    preflight: Schema.optionalKey(Preflight).annotate({
      description: "With `SCAISPEAK_VOICE_PREFLIGHT_FAILED`: what was measured."
    })
  }),
  meta
}).annotate({ identifier: "Failure" })

const failed = (status: number, codes: ReadonlyArray<Code>) =>
  Failed.annotate({
    httpApiStatus: status,
    description: codes.map((code) => `\`${code}\`: ${meanings[code].message}`).join("\n\n")
  })

/** What any endpoint behind a token can answer. */
const common: ReadonlyArray<Code> = [
  "AUTH_TOKEN_MISSING",
  "AUTH_TOKEN_INVALID",
  "AUTHZ_PERMISSION_DENIED",
  "VALIDATION_ERROR",
  "PAYLOAD_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
  "INTERNAL_ERROR",
  "SCAISPEAK_STORAGE_UNAVAILABLE"
]

/** Error bodies of an endpoint, one schema a status: what every endpoint can answer, and the codes given. */
export const failures = (...codes: ReadonlyArray<Code>) => {
  const byStatus = Map.groupBy([...common, ...codes], (code): number => meanings[code].status)
  return [...byStatus].map(([status, codes]) => failed(status, codes)) as Types.Mutable<
    ReadonlyArray<ReturnType<typeof failed>>
  >
}
