/**
 * Every reply in its envelope: successes, failures, and what no endpoint declared (unknown routes, wrong methods, bodies
 * over the limit, defects). A defect is logged with its cause and answered with nothing of it but the request id.
 */
import { Cause, Clock, Effect, Option } from "effect"
import type { Types } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { isFailure, meanings, show } from "../domain/Failure.ts"
import type { Code, Failure, Shown } from "../domain/Failure.ts"
import { carrying, CurrentRequestId } from "../services/CurrentRequestId.ts"
import * as RequestId from "./RequestId.ts"
import { allowedMethods } from "./Routes.ts"

/** The data of a success, in its envelope. */
export const ok = <A>(data: A) =>
  Effect.map(CurrentRequestId, (request_id) => ({ status: "ok" as const, data, meta: { request_id } }))

/** A page of a list, in its envelope. A null cursor ends the list. */
export const page = <A>(items: ReadonlyArray<A>, nextCursor: string | null) =>
  ok({ items, pagination: { has_more: nextCursor !== null, next_cursor: nextCursor } })

/** Answers a failure. Every failure gets `Retry-After` and the rate limit's headers when it has them. */
export const failed = (failure: Failure): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.andThen(
    note(failure),
    reply(show(failure), failure._tag === "RateLimited" ? rateLimitHeaders(failure) : {})
  )

/** What an operator has to know of: outages, in a line a second however many calls meet them. */
const note = (failure: Failure): Effect.Effect<void> => {
  switch (failure._tag) {
    case "StorageUnavailable":
      return outage(failure.store, failure.cause)
    case "BackendFailed":
      return outage(`backend ${failure.backend}`, failure.cause)
    default:
      return Effect.void
  }
}

const outage = (what: string, cause: unknown) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - (noted.get(what) ?? 0) < notedEveryMillis) return Effect.void
    noted.set(what, now)
    return Effect.logWarning("unavailable", { what, cause: String(cause) })
  })

const notedEveryMillis = 1000
/** When each of the few things that can be away was last logged. */
const noted = new Map<string, number>()

/** The last step of every handler: what it failed with becomes its answer. */
export const answerFailures = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A | HttpServerResponse.HttpServerResponse, Exclude<E, Failure>, R> =>
  Effect.catch(self, (error) => isFailure(error) ? failed(error) : Effect.fail(error as Exclude<E, Failure>))

const rateLimitHeaders = ({ limit, retryAfter }: { readonly limit: number; readonly retryAfter: number }) => ({
  "x-scaigrid-ratelimit-limit": String(limit),
  "x-scaigrid-ratelimit-remaining": "0",
  "x-scaigrid-ratelimit-reset": String(Math.ceil(retryAfter))
})

const reply = (
  { code, details, message, preflight, retryAfter }: Shown,
  headers: Record<string, string> = {}
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(CurrentRequestId, (request_id) =>
    HttpServerResponse.jsonUnsafe(
      {
        status: "error",
        error: {
          code,
          message,
          ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
          ...(details === undefined ? {} : { details }),
          ...(preflight === undefined ? {} : { preflight })
        },
        meta: { request_id }
      },
      {
        status: meanings[code].status,
        headers: {
          ...headers,
          ...(retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(retryAfter)) }),
          ...(code.startsWith("AUTH_") ? { "www-authenticate": "Bearer" } : {})
        }
      }
    ))

const shown = (code: Code): Shown => ({ code, message: meanings[code].message, retryable: meanings[code].retryable })

/** Statuses that the framework answers by itself, without a body of ours. */
const undeclared: Record<number, Code> = {
  400: "VALIDATION_ERROR",
  404: "NOT_FOUND",
  413: "PAYLOAD_TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE"
}

const inEnvelope = Effect.fnUntraced(function*(response: HttpServerResponse.HttpServerResponse) {
  if (response.status < 400 || response.headers["content-type"]?.startsWith("application/json")) return response
  if (response.status === 404) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const allow = allowedMethods(request.url)
    if (allow.length > 0 && !allow.includes(request.method)) {
      return yield* reply(shown("METHOD_NOT_ALLOWED"), { allow: allow.join(", ") })
    }
  }
  return yield* reply(shown(undeclared[response.status] ?? "INTERNAL_ERROR"))
})

// Interruption passes through: it is the client hanging up or the server draining.
const recover = (cause: Cause.Cause<Types.unhandled | Failure>) => {
  if (Cause.hasInterrupts(cause)) return Effect.failCause(cause as Cause.Cause<Types.unhandled>)
  const failure = Cause.findErrorOption(cause)
  return Option.isSome(failure) && isFailure(failure.value)
    ? failed(failure.value)
    : Effect.flatMap(
      HttpServerError.causeResponse(cause),
      ([response]) =>
        Effect.andThen(
          response.status >= 500 ? Effect.logError("request failed", cause) : Effect.void,
          inEnvelope(response)
        )
    )
}

/** Routes outside of the API may fail with a {@link Failure}: it becomes their answer. */
export const layer = HttpRouter.middleware<{ handles: Failure }>()(
  (handler): Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    Types.unhandled,
    HttpServerRequest.HttpServerRequest
  > =>
    Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request) =>
        Effect.flatMap(RequestId.of(request), (requestId) =>
          handler.pipe(
            Effect.flatMap(inEnvelope),
            Effect.catchCause(recover),
            Effect.map(HttpServerResponse.setHeader("x-request-id", requestId)),
            Effect.updateContext(carrying(requestId))
          ))
    ),
  { global: true }
)
