/** The gRPC client of one engine node, and the small calls that are made besides speech. */
import { credentials, Metadata, status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Clock, Effect } from "effect"
import type { GetInfoResponse, PresetVoice } from "../../proto/scaiinfer/v1/audio.ts"
import { AudioServiceClient } from "../../proto/scaiinfer/v1/audio.ts"

/** A node that takes longer to say how it is does not count as answering. */
const answerMillisMax = 1000

export const connect = (address: string) =>
  new AudioServiceClient(address, credentials.createInsecure(), {
    // A dead peer is noticed between calls too, and a node that restarts is found again within a second.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    // One window holds a long sentence, so that a node never waits for the gateway's acknowledgement inside one.
    "grpc-node.flow_control_window": 1 << 20
  })

const unary = <A>(
  send: (metadata: Metadata, deadline: { deadline: number }, done: (error: ServiceError | null, value: A) => void) => {
    cancel: () => void
  }
) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.callback<A, ServiceError>((resume) => {
      const call = send(
        new Metadata(),
        { deadline: now + answerMillisMax },
        (error, value) => resume(error ? Effect.fail(error) : Effect.succeed(value))
      )
      return Effect.sync(() => call.cancel())
    }))

export const getInfo = (client: AudioServiceClient) =>
  unary<GetInfoResponse>((metadata, deadline, done) => client.getInfo({}, metadata, deadline, done))

export const listVoices = (client: AudioServiceClient) =>
  Effect.map(
    unary<{ voices: ReadonlyArray<PresetVoice> }>((metadata, deadline, done) =>
      client.listVoices({}, metadata, deadline, done)
    ),
    ({ voices }) => voices
  )

/** Said by a probe: short, and a word in every language. */
const probeText = "1"

/** Succeeds when the node speaks: a preset's first audio, or, where there is no preset, an answer about itself. */
export const probe = (
  client: AudioServiceClient,
  preset: PresetVoice | undefined
): Effect.Effect<unknown, ServiceError> =>
  preset === undefined ? getInfo(client) : Effect.callback<void, ServiceError>((resume) => {
    const call = client.synthesize({
      requestId: "probe",
      engine: preset.engine,
      text: probeText,
      language: preset.languages[0] ?? "en",
      voice: { $case: "presetVoice", value: preset.name },
      params: undefined
    })
    call.on("data", ({ event }) => {
      if (event?.$case !== "audio") return
      resume(Effect.void)
      call.cancel()
    })
    // A node that refuses, or is too busy to speak, is alive.
    call.on("error", (error: ServiceError) => resume(isAlive(error.code) ? Effect.void : Effect.fail(error)))
    return Effect.sync(() => call.cancel())
  })

const isAlive = (code: status): boolean => code === status.RESOURCE_EXHAUSTED || code === status.INVALID_ARGUMENT
