/** A reply that is kept while it is sent, for whoever asks the same again. */
import { Effect, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import type { StorageUnavailable } from "../domain/Failure.ts"

/** Answers with `response` and keeps what was answered. A reply that cannot be kept is still a reply: the next is made anew. */
export const keeping = (
  response: HttpServerResponse.HttpServerResponse,
  save: (body: Uint8Array) => Effect.Effect<void, StorageUnavailable>
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const keep = (body: Uint8Array) =>
    Effect.catch(save(body), ({ cause, store }) => Effect.logWarning("reply not kept", { store, cause: String(cause) }))
  const { body } = response
  switch (body._tag) {
    case "Uint8Array":
      return Effect.as(keep(body.body), response)
    case "Stream": {
      const chunks: Array<Uint8Array> = []
      const kept = body.stream.pipe(
        Stream.tap((chunk) => Effect.sync(() => chunks.push(chunk))),
        // The claim is withdrawn when the request's scope closes: what is kept must be kept before the end.
        Stream.concat(Stream.fromEffectDrain(Effect.suspend(() => keep(Buffer.concat(chunks)))))
      )
      return Effect.succeed(HttpServerResponse.stream(kept, response))
    }
    default:
      return Effect.die(new Error(`A reply of ${body._tag} cannot be kept.`))
  }
}
