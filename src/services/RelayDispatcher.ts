/**
 * Backend B: a managed relay, asked over HTTP for speech that is passed on while it arrives.
 *
 * What kinds of relay differ in is a {@link RelayKind}, a file each in the folder; deadlines, refusals and the shape of
 * audio are the same for all. Closing the scope aborts the request at once. Neither the relay's key nor what the relay
 * says of itself is logged or part of a failure.
 */
import { Clock, Context, Effect, Layer, Stream } from "effect"
import type { Redacted, Scope } from "effect"
import { HttpClientRequest } from "effect/http"
import { availabilityOfRelay } from "../domain/BackendPolicy.ts"
import type { Availability } from "../domain/BackendPolicy.ts"
import { BackendTimeout } from "../domain/Failure.ts"
import type { BackendUnavailable, DispatchFailure } from "../domain/Failure.ts"
import type { SpeechParams } from "../domain/SpeechParams.ts"
import { Breakers } from "./Breakers.ts"
import type { Attempt, Dispatched, DispatchRefusal, DispatchRequest } from "./Dispatch.ts"
import { held } from "./Held.ts"
import { elevenLabs } from "./RelayDispatcher/ElevenLabs.ts"
import { openAi } from "./RelayDispatcher/OpenAi.ts"
import { pcmReply } from "./RelayDispatcher/PcmReply.ts"
import { unavailable } from "./RelayDispatcher/Refusal.ts"
import { refusal, relayClient } from "./RelayDispatcher/RelayClient.ts"
import type { RelaySpeaker } from "./RelayDispatcher/RelaySpeaker.ts"
import { speakers } from "./RelayDispatcher/Speakers.ts"

export interface RelayOptions {
  readonly kind: "openai" | "elevenlabs"
  /** With its version, without a closing slash: `https://host/v1`. */
  readonly url: string
  readonly apiKey: Redacted.Redacted | undefined
  readonly model: string
  /** Preset speakers; when empty they are asked of the relay. */
  readonly voices: ReadonlyArray<string>
  /** Longest silence between two pieces of it. */
  readonly chunkTimeoutMs: number
}

const probeTimeoutMs = 5000
/** One relay, one circuit. */
const breakerKey = "relay"

export class RelayDispatcher extends Context.Service<RelayDispatcher, {
  /** Resolves with the first piece of audio in hand: the reply is known to be speech, and at which rate. */
  readonly dispatch: (
    request: DispatchRequest,
    attempt: Attempt
  ) => Effect.Effect<Dispatched, DispatchRefusal, Scope.Scope>
  readonly availability: (voice: DispatchRequest["voice"]) => Availability
  /** The relay's preset speakers: the configured ones, else those that it lists; empty when it cannot list them. */
  readonly speakers: Effect.Effect<ReadonlyArray<RelaySpeaker>, BackendUnavailable>
  /** Asks the relay for something that costs nothing. Succeeds when it lives and takes our key. */
  readonly probe: Effect.Effect<void, DispatchFailure>
  /** Requests for speech that are open now. */
  readonly active: () => number
}>()("scaispeak/RelayDispatcher") {
  /** No relay is configured: B is off. */
  static readonly layerOff = Layer.succeed(RelayDispatcher, {
    dispatch: () => Effect.fail(unavailable("no relay is configured")),
    availability: () => availabilityOfRelay(false, "off"),
    speakers: Effect.succeed([]),
    probe: Effect.fail(unavailable("no relay is configured")),
    active: () => 0
  })

  static readonly layer = (options: RelayOptions) =>
    Layer.effect(
      RelayDispatcher,
      Effect.gen(function*() {
        const kind = options.kind === "openai" ? openAi(options) : elevenLabs(options)
        const client = yield* relayClient(kind, options)
        const breakers = yield* Breakers
        let active = 0

        const failed = Effect.sync(() => breakers.note(breakerKey, "failure"))

        const speech = Effect.fnUntraced(
          function*(request: DispatchRequest, asked: HttpClientRequest.HttpClientRequest) {
            const startedAt = yield* Clock.currentTimeMillis
            const response = yield* client.ask(HttpClientRequest.setHeader(asked, "x-request-id", request.requestId))
              .pipe(Effect.tapError(() => failed))
            if (response.status !== 200) {
              // Another answer below 500 is about this request, or says that the relay is busy: others may do better.
              if (response.status >= 500 && response.status !== 503) yield* failed
              return yield* yield* refusal(client, response, { text: request.text, startedAt })
            }
            return yield* pcmReply(response, {
              sampleRate: kind.sampleRate,
              chunkTimeoutMs: options.chunkTimeoutMs,
              trimMs: request.params.warmupTrimMs ?? 0
            })
          }
        )

        const dispatch = Effect.fnUntraced(function*(request: DispatchRequest, attempt: Attempt) {
          const speaker = request.voice.relaySpeaker
          if (speaker === null) return yield* unavailable("the voice has no speaker at the relay")
          yield* held(Effect.sync(() => active++), () => Effect.sync(() => active--))
          const asked = kind.speech(request, speaker)
          attempt.note("The relay is asked.")
          const { audio, sampleRate } = yield* within(attempt.firstAudioMsMax, speech(request, asked.request)).pipe(
            Effect.tapErrorTag("BackendTimeout", () => failed)
          )
          breakers.note(breakerKey, "success")
          return {
            backend: "B" as const,
            nodeId: null,
            engine: options.kind,
            model: options.model,
            sampleRate,
            ignoredParams: given(request.params, asked.ignored),
            deterministic: false,
            audio: Stream.tapError(audio, () => failed)
          }
        })

        const probe = Effect.gen(function*() {
          const startedAt = yield* Clock.currentTimeMillis
          const response = yield* client.ask(HttpClientRequest.get(kind.probePath))
          if (response.status < 500 && ![401, 403, 429].includes(response.status)) return
          // A key that may speak and nothing else is a good key.
          if ((yield* client.errorCode(response, "")) === "missing_permissions") return
          return yield* yield* refusal(client, response, { text: "", startedAt })
        })

        const bounded = within(probeTimeoutMs, Effect.scoped(probe))
        yield* breakers.watch(breakerKey, bounded)

        return RelayDispatcher.of({
          dispatch,
          availability: ({ relaySpeaker }) =>
            availabilityOfRelay(relaySpeaker !== null, breakers.isOpen(breakerKey) ? "recovering" : "ready"),
          speakers: speakers(client, kind, options.voices),
          probe: bounded,
          active: () => active
        })
      })
    )
}

/** Wire names of the parameters that a relay may ignore, in the order that they are reported in. */
const wireNames: ReadonlyArray<readonly [keyof SpeechParams, string]> = [
  ["speed", "speed"],
  ["instructions", "instructions"],
  ["cfgValue", "cfg_value"],
  ["seed", "seed"]
]

const given = (params: SpeechParams, ignored: ReadonlyArray<keyof SpeechParams>): ReadonlyArray<string> =>
  wireNames.filter(([name]) => params[name] !== undefined && ignored.includes(name)).map(([, wireName]) => wireName)

const within = <A, E, R>(ms: number, self: Effect.Effect<A, E, R>): Effect.Effect<A, E | BackendTimeout, R> =>
  Effect.timeoutOrElse(self, {
    duration: ms,
    orElse: () => Effect.fail(new BackendTimeout({ backend: "B", waitedMs: ms }))
  })
