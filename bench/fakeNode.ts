/**
 * An engine node that costs nothing: 48 KB of audio in ten messages, at once or after a delay given in ms as the first
 * argument. It prints its address.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js"
import type { sendUnaryData, ServerWritableStream } from "@grpc/grpc-js"
import { AudioServiceService, Cloning, EngineState } from "../src/proto/scaiinfer/v1/audio.ts"
import type {
  GetInfoResponse,
  ListVoicesResponse,
  SynthesizeEvent,
  SynthesizeRequest
} from "../src/proto/scaiinfer/v1/audio.ts"

const delayMillis = Number(process.argv[2] ?? 0)
const message = new Uint8Array(4800).map((_, i) => i)

const server = new Server()
server.addService(AudioServiceService, {
  synthesize: (call: ServerWritableStream<SynthesizeRequest, SynthesizeEvent>) => {
    const speak = () => {
      call.write({
        event: {
          $case: "header",
          value: {
            sampleRate: 16000,
            model: "fake",
            modelVersion: "1",
            engine: "fake",
            ignoredParams: [],
            deterministic: true
          }
        }
      })
      for (let i = 0; i < 10; i++) call.write({ event: { $case: "audio", value: { pcm: message } } })
      call.write({ event: { $case: "done", value: { audioMs: 1500, generateMs: 0 } } })
      call.end()
    }
    if (delayMillis === 0) speak()
    else setTimeout(speak, delayMillis)
  },
  getInfo: (_: unknown, reply: sendUnaryData<GetInfoResponse>) =>
    reply(null, {
      nodeId: "fake",
      version: "1",
      engines: [{
        engine: "fake",
        model: "fake",
        modelVersion: "1",
        languages: ["en"],
        abilities: { cloning: Cloning.UNSPECIFIED, design: false, nativeWordTimes: false, streaming: true },
        state: EngineState.READY,
        stateReason: ""
      }],
      load: { capacity: 10_000, active: 0, queued: 0 },
      draining: false,
      heldReferences: []
    }),
  listVoices: (_: unknown, reply: sendUnaryData<ListVoicesResponse>) =>
    reply(null, {
      voices: [{
        engine: "fake",
        name: "one",
        displayName: "One",
        description: "",
        languages: ["en"],
        gender: "neutral",
        styleTags: []
      }]
    })
})
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  console.log(`127.0.0.1:${port}`)
})
process.stdin.resume().once("close", () => process.exit())
