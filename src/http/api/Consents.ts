/** Taking consent back, and whether the ledger of consents is what it was. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { ConsentId, VoiceId } from "../../domain/Ids.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok } from "./Wire.ts"

export const Revocation = Schema.Struct({
  voice_id: VoiceId,
  consent: Schema.Struct({
    consent_id: ConsentId,
    status: Schema.Literal("revoked"),
    revoked_at: Schema.DateTimeUtcFromString
  })
})

export const ConsentVerification = Schema.Struct({
  intact: Schema.Boolean,
  events: Schema.Natural.annotate({ description: "Events that were read and hold." }),
  head: Schema.Struct({ seq: Schema.Natural, hash: Schema.String }).annotate({
    description: "The last event. Noted down outside of the database, it shows when the end of the ledger was cut off."
  }),
  broken_at: Schema.optionalKey(
    Schema.Struct({ seq: Schema.Natural, reason: Schema.String })
  ).annotate({ description: "The first event that does not hold; 0 when it is none in particular." })
})

export class Consents extends HttpApiGroup.make("consents").add(
  HttpApiEndpoint.post("revoke", "/voices/:voice_id/consent/revoke", {
    params: { voice_id: Schema.String },
    success: Ok(Revocation),
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:voice.write").annotateMerge(OpenApi.annotations({
    summary: "Revoke the consent of a voice",
    description:
      "By its owner or an administrator of its tenant. New calls in the voice are refused and running ones " +
      "are broken off, on every process. Revoking again answers the same."
  })),
  HttpApiEndpoint.get("verify", "/admin/consents/verify", {
    success: Ok(ConsentVerification),
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Verify the tenant's ledger of consents",
    description: "Recomputes the chain of grants, revocations and erasures and says where it breaks."
  }))
) {}
