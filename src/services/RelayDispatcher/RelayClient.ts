/**
 * HTTP to the relay: its URL and key on every request, and refusals read without repeating them.
 *
 * The key goes to the relay's own host alone: redirects are answers like any other and are not followed. Closing the
 * scope of a request aborts it, body included.
 */
import { Clock, Effect, Redacted, Stream } from "effect"
import type { Scope } from "effect"
import { Headers, HttpClient, HttpClientRequest } from "effect/http"
import type { HttpClientResponse } from "effect/http"
import type { BackendUnavailable, DispatchFailure } from "../../domain/Failure.ts"
import { plainCode, refused, unavailable } from "./Refusal.ts"
import type { RelayKind } from "./RelayKind.ts"

export interface RelayClient {
  /** Any answer at all, with its body still to come. */
  readonly ask: (
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, BackendUnavailable, Scope.Scope>
  /** The machine-readable code of an error body, if it has a plain one. `unsaid` is what it must not repeat. */
  readonly errorCode: (
    response: HttpClientResponse.HttpClientResponse,
    unsaid: string
  ) => Effect.Effect<string | undefined>
}

export const relayClient = Effect.fnUntraced(function*(
  kind: RelayKind,
  options: { readonly url: string; readonly apiKey: Redacted.Redacted | undefined }
): Effect.fn.Return<RelayClient, never, HttpClient.HttpClient> {
  const key = options.apiKey
  const client = (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest((request) => {
      const at = HttpClientRequest.prependUrl(request, options.url).pipe(
        // What a proxy compresses it holds back.
        HttpClientRequest.setHeader("accept-encoding", "identity")
      )
      return key === undefined ? at : kind.authorize(at, key)
    }),
    HttpClient.withScope
  )
  return {
    ask: (request) =>
      client.execute(request).pipe(
        Effect.provideService(Headers.CurrentRedactedNames, redactedNames),
        // The client's own error holds the request, and with it the key and the text.
        Effect.mapError(() => unavailable("the relay is away"))
      ),
    errorCode: (response, unsaid) =>
      Effect.map(
        jsonOf(response, errorBytesMax, errorWaitMs),
        (body) => plainCode(kind.errorCode(body), unsaid, key === undefined ? "" : Redacted.value(key))
      )
  }
})

/** The failure that an answer without speech means. */
export const refusal = Effect.fnUntraced(function*(
  client: RelayClient,
  response: HttpClientResponse.HttpClientResponse,
  asked: { readonly text: string; readonly startedAt: number }
): Effect.fn.Return<DispatchFailure> {
  const code = yield* client.errorCode(response, asked.text)
  const now = yield* Clock.currentTimeMillis
  const { headers, status } = response
  return refused({ status, headers, code, now, waitedMs: now - asked.startedAt })
})

const errorBytesMax = 16 * 2 ** 10
/** An error whose body does not come is an error without a code. */
const errorWaitMs = 500

/** Headers that spans hide: the usual ones, and ElevenLabs' key. */
const redactedNames = ["authorization", "cookie", "set-cookie", "x-api-key", "xi-api-key"]

/** The body as JSON. Undefined when it is longer, slower, broken or no JSON. */
export const jsonOf = (
  response: HttpClientResponse.HttpClientResponse,
  bytesMax: number,
  waitMs: number
): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    let bytes = 0
    return response.stream.pipe(
      Stream.takeUntil((chunk) => (bytes += chunk.length) > bytesMax),
      Stream.runCollect,
      Effect.map((chunks) => (bytes > bytesMax ? undefined : parsed(Buffer.concat(chunks).toString()))),
      Effect.timeoutOrElse({ duration: waitMs, orElse: () => Effect.undefined }),
      Effect.orElseSucceed(() => undefined)
    )
  })

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
