/** A text that is taken as a job: refused as a call is, then written down, and answered once that is durable. */
import { DateTime, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import type { AuthUser } from "../domain/Permission.ts"
import { codePoints } from "../domain/SpeakRequest.ts"
import type { SpeakRequest } from "../domain/SpeakRequest.ts"
import { CurrentRequestId } from "../services/CurrentRequestId.ts"
import { JobRepo } from "../services/JobRepo.ts"
import { Licences } from "../services/Licences.ts"
import { Synthesis } from "../services/Synthesis.ts"
import { Webhooks } from "../services/Webhooks.ts"
import { Accepted } from "./api/Jobs.ts"
import { Ok } from "./api/Wire.ts"
import * as Envelope from "./Envelope.ts"
import { urlOf } from "./JobView.ts"
import type { Keep } from "./Once.ts"

const encode = HttpServerResponse.schemaJson(Ok(Accepted))

export const make = Effect.gen(function*() {
  const synthesis = yield* Synthesis
  const jobs = yield* JobRepo
  const licences = yield* Licences
  const webhooks = yield* Webhooks

  /** `keep` keeps the reply, in the transaction that takes the job: whoever asks the same again gets the same job. */
  return Effect.fnUntraced(function*(caller: AuthUser, speak: SpeakRequest, keep: Keep) {
    const characters = codePoints(speak.text)
    if (speak.callbackUrl !== undefined) yield* webhooks.permit(caller.tenantId, speak.callbackUrl)
    const requestId = yield* CurrentRequestId
    const { licenceId, synthesisId } = yield* synthesis.admit(caller, speak.voiceId, characters)
    let reply: HttpServerResponse.HttpServerResponse | undefined
    yield* jobs.enqueue(
      { requestId, caller, speak, synthesisId, licenceId },
      Effect.fnUntraced(function*({ expiresAt, jobId }) {
        const status_url = urlOf(jobId)
        const body = yield* Envelope.ok({
          job_id: jobId,
          status: "queued" as const,
          characters,
          status_url,
          expires_at: DateTime.makeUnsafe(expiresAt)
        })
        reply = (yield* Effect.orDie(encode(body))).pipe(
          HttpServerResponse.setStatus(202),
          HttpServerResponse.setHeader("location", status_url)
        )
        yield* keep(reply)
      })
    ).pipe(Effect.onError(() =>
      licenceId === null
        ? Effect.void
        : Effect.ignore(licences.giveBack(licenceId, speak.voiceId, characters), { log: "Warn" })
    ))
    return reply!
  })
})
