/**
 * Backend B: a managed relay, asked over HTTP for raw PCM that is passed on while it arrives.
 *
 * Closing the scope aborts the request. The relay's key is never logged and never part of a failure.
 */
import { Context, Effect, Layer, Stream } from "effect"
import type { Redacted, Scope } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import type { HttpClientResponse } from "effect/http"
import type { Availability } from "../domain/BackendPolicy.ts"
import { BackendFailed, BackendSaturated, BackendTimeout, BackendUnavailable } from "../domain/Failure.ts"
import type { DispatchFailure } from "../domain/Failure.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { Dispatched, DispatchRefusal, DispatchRequest } from "./Dispatch.ts"

export interface RelayOptions {
  readonly kind: "openai" | "elevenlabs"
  /** With its version, without a closing slash: `https://host/v1`. */
  readonly url: string
  readonly apiKey: Redacted.Redacted | undefined
  readonly model: string
  /** Preset speakers; when empty they are asked of the relay. */
  readonly voices: ReadonlyArray<string>
  /** Longest wait for a reply to begin. */
  readonly firstAudioTimeoutMs: number
  /** Longest silence between two pieces of it. */
  readonly chunkTimeoutMs: number
}

/** OpenAI's `pcm` is 24 kHz; a relay with another rate says so in its content type. */
const defaultSampleRate = 24000
/** Seconds, where a full relay names no time. */
const defaultRetryAfter = 5

export class RelayDispatcher extends Context.Service<RelayDispatcher, {
  readonly dispatch: (request: DispatchRequest) => Effect.Effect<Dispatched, DispatchRefusal, Scope.Scope>
  readonly availability: (voice: DispatchRequest["voice"]) => Availability
  /** The relay's preset speakers: configured, or listed by the relay; empty when it cannot list them. */
  readonly speakers: Effect.Effect<ReadonlyArray<string>, BackendUnavailable>
  /** Requests open now. */
  readonly active: () => number
}>()("scaispeak/RelayDispatcher") {
  /** No relay is configured: B is off. */
  static readonly layerOff = Layer.succeed(RelayDispatcher, {
    dispatch: () => Effect.fail(new BackendUnavailable({ reasons: ["no relay is configured"] })),
    availability: () => ({ available: false, reason: "no relay is configured" }),
    speakers: Effect.succeed([]),
    active: () => 0
  })

  static readonly layer = (options: RelayOptions) =>
    Layer.effect(
      RelayDispatcher,
      Effect.gen(function*() {
        const client = (yield* HttpClient.HttpClient).pipe(
          HttpClient.mapRequest((request) => {
            const at = HttpClientRequest.prependUrl(request, options.url)
            return options.apiKey === undefined ? at : HttpClientRequest.bearerToken(at, options.apiKey)
          })
        )
        let active = 0

        const dispatch = Effect.fnUntraced(function*(request: DispatchRequest) {
          const speaker = request.voice.relaySpeaker
          if (speaker === null) {
            return yield* new BackendUnavailable({ reasons: ["the voice has no speaker at the relay"] })
          }
          yield* Effect.acquireRelease(Effect.sync(() => active++), () => Effect.sync(() => active--))
          const response = yield* HttpClientRequest.post("/audio/speech").pipe(
            HttpClientRequest.setHeader("x-request-id", request.requestId),
            HttpClientRequest.bodyJsonUnsafe({
              model: options.model,
              input: request.text,
              voice: speaker,
              response_format: "pcm",
              ...(request.params.speed === undefined ? {} : { speed: request.params.speed }),
              ...(request.params.instructions === undefined ? {} : { instructions: request.params.instructions })
            }),
            client.execute,
            Effect.mapError(() => new BackendUnavailable({ reasons: ["B cannot serve the call: the relay is away."] })),
            Effect.timeoutOrElse({
              duration: options.firstAudioTimeoutMs,
              orElse: () => Effect.fail(new BackendTimeout({ backend: "B", waitedMs: options.firstAudioTimeoutMs }))
            })
          )
          if (response.status !== 200) return yield* refused(response)
          const contentType = response.headers["content-type"] ?? ""
          if (contentType.startsWith("application/json") || contentType.startsWith("text/")) {
            return yield* broken(`The relay answered ${contentType} for audio.`)
          }
          return {
            backend: "B" as const,
            nodeId: null,
            engine: options.kind,
            model: options.model,
            sampleRate: Number(/rate=(\d+)/u.exec(contentType)?.[1] ?? defaultSampleRate),
            ignoredParams: (["cfgValue", "seed", "warmupTrimMs"] as const)
              .filter((name) => request.params[name] !== undefined)
              .map((name) => wireNames[name]),
            deterministic: false,
            audio: response.stream.pipe(
              Stream.mapError((cause): DispatchFailure => new BackendFailed({ backend: "B", cause })),
              Stream.timeoutOrElse({
                duration: options.chunkTimeoutMs,
                orElse: () => Stream.fail(new BackendTimeout({ backend: "B", waitedMs: options.chunkTimeoutMs }))
              }),
              wholeSamples
            )
          }
        })

        const speakers = options.voices.length > 0
          ? Effect.succeed(options.voices)
          : Effect.gen(function*() {
            const response = yield* client.get("/audio/voices")
            if (response.status !== 200) return []
            return voiceNames(yield* response.json)
          }).pipe(
            Effect.mapError(() => new BackendUnavailable({ reasons: ["the relay does not list its voices now"] }))
          )

        return RelayDispatcher.of({
          dispatch,
          availability: (voice) =>
            voice.relaySpeaker === null
              ? { available: false, reason: "the voice has no speaker at the relay" }
              : { available: true },
          speakers,
          active: () => active
        })
      })
    )
}

const wireNames = { cfgValue: "cfg_value", seed: "seed", warmupTrimMs: "warmup_trim_ms" }

const broken = (message: string) => new BackendFailed({ backend: "B", cause: new Error(message) })

/** What a status other than 200 means. The body is the relay's and is not passed on. */
const refused = (response: HttpClientResponse.HttpClientResponse): DispatchFailure => {
  const retryAfter = Number(response.headers["retry-after"])
  switch (response.status) {
    case 429:
    case 503:
      return new BackendSaturated({
        backend: "B",
        retryAfter: Number.isFinite(retryAfter) && retryAfter > 0 ? Math.ceil(retryAfter) : defaultRetryAfter
      })
    case 408:
    case 504:
      return new BackendTimeout({ backend: "B", waitedMs: 0 })
    default:
      return broken(`The relay answered ${response.status}.`)
  }
}

/** Chunks as they come from the network may split a sample; an odd byte waits for its other half. */
const wholeSamples = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<PcmChunk, E | BackendFailed, R> =>
  Stream.suspend(() => {
    let odd: number | undefined
    return bytes.pipe(
      Stream.map((chunk): PcmChunk => {
        if (odd === undefined && chunk.length % 2 === 0) return { pcm: chunk, words: [] }
        const joined = odd === undefined ? chunk : Buffer.concat([Uint8Array.of(odd), chunk])
        odd = joined.length % 2 === 1 ? joined[joined.length - 1] : undefined
        return { pcm: joined.subarray(0, joined.length - (joined.length % 2)), words: [] }
      }),
      Stream.concat(
        Stream.suspend(
          () => (odd === undefined ? Stream.empty : Stream.fail(broken("The relay cut a sample in half.")))
        )
      )
    )
  })

/** `{"voices": ["af_bella", …]}` or `{"voices": [{"id"|"voice_id"|"name": …}]}`: what compatible servers answer. */
const voiceNames = (body: unknown): ReadonlyArray<string> => {
  const voices = (body as { voices?: unknown } | null)?.voices
  if (!Array.isArray(voices)) return []
  return voices.flatMap((voice: unknown) => {
    if (typeof voice === "string") return [voice]
    const { id, name, voice_id } = (voice ?? {}) as Record<string, unknown>
    return [id, voice_id, name].filter((value) => typeof value === "string").slice(0, 1)
  })
}
