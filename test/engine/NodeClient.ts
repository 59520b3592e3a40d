/** Speaks to a node over real gRPC, the way a gateway does, and keeps all that comes back. */
import { type ClientReadableStream, credentials, type ServiceError } from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"
import {
  AudioServiceClient,
  type SpokenWord,
  type SynthesisDone,
  type SynthesisHeader,
  type SynthesisParams,
  type SynthesizeEvent,
  type SynthesizeRequest
} from "../../src/proto/scaiinfer/v1/audio.ts"

export interface Asked {
  readonly text: string
  readonly voice?: string
  readonly engine?: string
  readonly language?: string
  readonly params?: SynthesisParams
}

export interface Heard {
  header?: SynthesisHeader
  readonly words: Array<SpokenWord>
  readonly chunks: Array<Uint8Array>
  done?: SynthesisDone
  /** Of a call that did not end well. */
  failure?: ServiceError
}

export const connect = (address: string): Effect.Effect<AudioServiceClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new AudioServiceClient(address, credentials.createInsecure())),
    (client) => Effect.sync(() => client.close())
  )

export const start = (client: AudioServiceClient, asked: Asked): ClientReadableStream<SynthesizeEvent> => {
  const request: SynthesizeRequest = {
    requestId: "test",
    engine: asked.engine ?? "default",
    text: asked.text,
    language: asked.language ?? "en",
    voice: { $case: "presetVoice", value: asked.voice ?? "kal16" },
    params: asked.params
  }
  return client.synthesize(request)
}

/** Waits for the call's end, good or bad. `onEvent` sees each event as it comes. */
export const finish = (
  call: ClientReadableStream<SynthesizeEvent>,
  onEvent: (event: SynthesizeEvent["event"]) => void = () => {}
): Promise<Heard> =>
  new Promise((resolve) => {
    const heard: Heard = { words: [], chunks: [] }
    call.on("data", ({ event }: SynthesizeEvent) => {
      switch (event?.$case) {
        case "header":
          heard.header = event.value
          break
        case "words":
          heard.words.push(...event.value.words)
          break
        case "audio":
          heard.chunks.push(event.value.pcm)
          break
        case "done":
          heard.done = event.value
      }
      onEvent(event)
    })
    call.on("error", (failure: ServiceError) => resolve({ ...heard, failure }))
    call.on("end", () => resolve(heard))
  })

export const speak = (client: AudioServiceClient, asked: Asked): Effect.Effect<Heard> =>
  Effect.promise(() => finish(start(client, asked)))

/** All samples of a call. */
export const samplesOf = ({ chunks }: Heard): Int16Array => {
  const bytes = Buffer.concat(chunks)
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}
