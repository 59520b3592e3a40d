/** The relay of the tests, and dispatchers to it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { Breakers } from "../../src/services/Breakers.ts"
import type { Attempt } from "../../src/services/Dispatch.ts"
import { RelayDispatcher } from "../../src/services/RelayDispatcher.ts"
import type { RelayOptions } from "../../src/services/RelayDispatcher.ts"
import * as Program from "../programs/Program.ts"
import { voice } from "./voices.ts"

/** A relay program; `v1` below its URL is the API. */
export class Relay extends Context.Service<Relay, { readonly url: string }>()("test/Relay") {
  static readonly layer = Layer.effect(
    Relay,
    Effect.map(Program.start("relay.ts"), ({ firstLine }) => ({ url: `http://127.0.0.1:${firstLine}` }))
  )
}

export const kinds = ["openai", "elevenlabs"] as const

export const models = { openai: "gpt-4o-mini-tts", elevenlabs: "eleven_flash_v2_5" }

/** What must never be logged, failed with or traced. */
export const relayKey = "sk_relaykey"
export const relayText = "something private"

export const dispatcherAt = (
  url: string,
  kind: RelayOptions["kind"],
  options: Partial<RelayOptions> = {}
) =>
  RelayDispatcher.layer({
    kind,
    url,
    apiKey: Redacted.make(relayKey),
    model: models[kind],
    voices: [],
    chunkTimeoutMs: 800,
    ...options
  }).pipe(
    Layer.provide(NodeHttpClient.layerUndici),
    // A relay that misbehaves on demand would soon be left alone.
    Layer.provide(Breakers.layerMemory({ failures: 1000, openMs: 1000 }))
  )

/** Of that kind, to a relay of its own. */
export const dispatcher = (kind: RelayOptions["kind"], options: Partial<RelayOptions> = {}) =>
  Layer.unwrap(Effect.map(Relay, ({ url }) => dispatcherAt(`${url}/v1`, kind, options))).pipe(
    Layer.provideMerge(Relay.layer)
  )

export const request = (speaker: string | null, params: Record<string, unknown> = {}) => ({
  requestId: "syn_test",
  text: relayText,
  language: "en",
  params,
  voice: voice({ relaySpeaker: speaker })
})

/** The first try at a call. */
export const attempt = (): Attempt => ({ firstAudioMsMax: 800, tried: new Set(), note: () => {} })

/** Everything that a speaker says. */
export const heard = (speaker: string, params: Record<string, unknown> = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const dispatched = yield* (yield* RelayDispatcher).dispatch(request(speaker, params), attempt())
    const chunks = yield* Stream.runCollect(dispatched.audio)
    return { dispatched, pcm: Buffer.concat(chunks.map(({ pcm }) => pcm)), chunks }
  }))

export const relayState = Effect.gen(function*() {
  const { url } = yield* Relay
  return (yield* Effect.promise(async () => (await fetch(`${url}/calls`)).json())) as {
    calls: Array<{ path: string; key: string; body: unknown }>
    open: number
    elsewhere: number
    sent: number
  }
})

/** Waits until so many requests are open at the relay, as the relay sees it. */
export const openRequests = (count: number) =>
  Effect.repeat(Effect.andThen(Effect.sleep(5), relayState), { until: ({ open }) => open === count }).pipe(
    Effect.timeout("5 seconds")
  )
