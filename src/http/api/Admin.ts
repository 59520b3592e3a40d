/** Policy and API keys of the caller's tenant. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { BackendPolicy } from "../../domain/BackendPolicy.ts"
import { ApiKeyId, UserId } from "../../domain/Ids.ts"
import { Permission } from "../../domain/Permission.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok, Page } from "./Wire.ts"

const Policy = BackendPolicy.pipe(
  Schema.encodeKeys({ allowedBackends: "allowed_backends", defaultBackend: "default_backend" })
)

/** An API key as it is listed: never the key itself. */
export const ApiKeyRecord = Schema.Struct({
  key_id: ApiKeyId,
  name: Schema.String,
  user_id: UserId,
  permissions: Schema.Array(Permission),
  created_at: Schema.DateTimeUtcFromString,
  expires_at: Schema.NullOr(Schema.DateTimeUtcFromString),
  last_used_at: Schema.NullOr(Schema.DateTimeUtcFromString)
})

export const CreatedApiKey = Schema.Struct({
  ...ApiKeyRecord.fields,
  key: Schema.String.annotate({ description: "The key itself, shown this once." })
})

export class Admin extends HttpApiGroup.make("admin").add(
  HttpApiEndpoint.get("getPolicy", "/admin/policy", { success: Ok(Policy), error: failures("MODULE_NOT_ENABLED") })
    .annotate(Requires, "scaispeak:synthesize")
    .annotateMerge(OpenApi.annotations({ summary: "Read the backend policy" })),
  HttpApiEndpoint.put("putPolicy", "/admin/policy", { payload: Policy, success: Ok(Policy), error: failures() })
    .annotate(Requires, "scaispeak:admin")
    .annotateMerge(OpenApi.annotations({
      summary: "Set the backend policy",
      description: "`default_backend` must be among `allowed_backends`. Running calls finish where they are."
    })),
  HttpApiEndpoint.post("createApiKey", "/admin/api-keys", {
    payload: Schema.Struct({
      name: Schema.NonEmptyString.check(Schema.isMaxLength(100)),
      user_id: Schema.optionalKey(UserId),
      permissions: Schema.NonEmptyArray(Permission),
      expires_at: Schema.optionalKey(Schema.DateTimeUtcFromString)
    }),
    success: Ok(CreatedApiKey).annotate({ httpApiStatus: 201 }),
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Create an API key",
    description: "For the caller, or for a known user of the caller's tenant; never with more than its owner may do."
  })),
  HttpApiEndpoint.get("listApiKeys", "/admin/api-keys", { success: Ok(Page(ApiKeyRecord)), error: failures() })
    .annotate(Requires, "scaispeak:admin")
    .annotateMerge(OpenApi.annotations({ summary: "List the tenant's API keys" })),
  HttpApiEndpoint.delete("revokeApiKey", "/admin/api-keys/:key_id", {
    params: { key_id: Schema.String },
    success: Ok(Schema.Struct({ key_id: ApiKeyId, revoked: Schema.Literal(true) })),
    error: failures("SCAISPEAK_API_KEY_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({ summary: "Revoke an API key" }))
) {}
