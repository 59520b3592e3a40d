/** `POST /voices/preflight`: a clip is measured as it is uploaded, and nothing is kept. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { InvalidRequest } from "../../domain/Failure.ts"
import { AudioDecoder } from "../../services/AudioDecoder.ts"
import { Preflight } from "../../services/Preflight.ts"
import { Api } from "../Api.ts"
import * as Envelope from "../Envelope.ts"
import { endRefused, Uploads } from "../Uploads.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "intake",
  Effect.fnUntraced(function*(handlers) {
    const uploads = yield* Uploads
    const decoder = yield* AudioDecoder
    const preflight = yield* Preflight
    return handlers.handle(
      "preflight",
      Effect.fnUntraced(
        function*({ payload }) {
          const { files } = yield* uploads.receive(payload, { files: ["reference"] })
          const clip = files["reference"]
          if (clip === undefined) return yield* InvalidRequest.field("reference", "is missing: a sound file is needed")
          return yield* Envelope.ok(yield* preflight.reference(yield* decoder.decode(clip)))
        },
        Effect.scoped,
        Envelope.answerFailures,
        endRefused
      )
    )
  })
)
