/** Whom the jobs of the caller's tenant may call back, and what those calls are signed with. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Requires } from "./Caller.ts"
import { failures, Ok } from "./Wire.ts"

const originsMax = 50

const Origins = Schema.Array(Schema.NonEmptyString.check(Schema.isMaxLength(300))).check(Schema.isMaxLength(originsMax))
  .annotate({ description: "Such as `https://hooks.example.com`; at most 50." })

const secretState = {
  created_at: Schema.DateTimeUtcFromString,
  previous_valid_until: Schema.NullOr(Schema.DateTimeUtcFromString).annotate({
    description: "Until when calls are also signed with the secret before this one."
  })
}

const Settings = Schema.Struct({
  allowed_origins: Schema.Array(Schema.String),
  secret: Schema.NullOr(Schema.Struct(secretState)).annotate({ description: "Null before the first was made." })
})

export class Webhooks extends HttpApiGroup.make("webhooks").add(
  HttpApiEndpoint.get("getWebhooks", "/admin/webhooks", { success: Ok(Settings), error: failures() })
    .annotate(Requires, "scaispeak:admin")
    .annotateMerge(OpenApi.annotations({ summary: "Read whom jobs may call back" })),
  HttpApiEndpoint.put("putWebhooks", "/admin/webhooks", {
    payload: Schema.Struct({ allowed_origins: Origins }),
    success: Ok(Settings),
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Set whom jobs may call back",
    description:
      "Replaces the origins that a `callback_url` may have. One that is left out is not called any more, whatever was asked before."
  })),
  HttpApiEndpoint.post("makeWebhookSecret", "/admin/webhooks/secret", {
    success: HttpApiSchema.status(201)(Ok(Schema.Struct({
      secret: Schema.String.annotate({ description: "`whsec_…`, shown this once." }),
      ...secretState
    }))),
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Make the secret that callbacks are signed with",
    description:
      "The one before it signs beside it for 24 hours; asked for twice, it is over at once. Signatures are those of Standard Webhooks."
  }))
) {}
