/** The REST surface as a table: every endpoint, what goes in, what comes out, what can fail. */
import { HttpApi, OpenApi } from "effect/http-api"
import { Admin } from "./api/Admin.ts"
import { Authentication, Validation } from "./api/Caller.ts"
import { Consents } from "./api/Consents.ts"
import { Erasures } from "./api/Erasure.ts"
import { GlobalVoices } from "./api/GlobalVoices.ts"
import { Intake } from "./api/Intake.ts"
import { Jobs } from "./api/Jobs.ts"
import { Nodes } from "./api/Nodes.ts"
import { Speech } from "./api/Speech.ts"
import { Synths } from "./api/Synths.ts"
import { VoicePreview } from "./api/VoicePreview.ts"
import { Voices } from "./api/Voices.ts"
import { VoiceWarming } from "./api/VoiceWarming.ts"
import { complete, mount } from "./Document.ts"

export { mount }

// The last middleware added runs first: a request without a token is refused before its body is looked at.
export class Api extends HttpApi.make("scaispeak")
  .add(Speech, Jobs, Synths, Voices, Intake, VoicePreview, VoiceWarming)
  .add(Consents, GlobalVoices, Erasures, Admin, Nodes)
  .middleware(Validation)
  .middleware(Authentication)
  .prefix(mount)
  .annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotateMerge(OpenApi.annotations({
    title: "ScaiSpeak",
    version: "1.0.0",
    transform: complete,
    description: "Text to speech: one call in front of self-hosted engine nodes and managed relays."
  }))
{}
