/**
 * An engine node whose behaviour is named by the preset voice it is asked for: a real gRPC server on loopback, so that
 * what is tested is the wire, its flow control and its cancellation.
 */
import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js"
import type { sendUnaryData, ServerWritableStream } from "@grpc/grpc-js"
import { Effect } from "effect"
import { AudioServiceService, Cloning, EngineState } from "../../src/proto/scaiinfer/v1/audio.ts"
import type {
  GetInfoResponse,
  ListVoicesResponse,
  SynthesizeEvent,
  SynthesizeRequest
} from "../../src/proto/scaiinfer/v1/audio.ts"

type Call = ServerWritableStream<SynthesizeRequest, SynthesizeEvent>

/** Hz. */
export const sampleRate = 16000
/** Bytes of an audio message: 150 ms. */
const messageBytes = 4800
const messages = 10

/** A ramp, so that lost, doubled or swapped bytes show. */
export const spoken = Buffer.from(
  Int16Array.from({ length: (messageBytes * messages) / 2 }, (_, i) => (i % 30000) + 1).buffer
)

/** ms that a UTF-16 unit takes to say. */
export const spelledMillis = 50

/** A text as speech: each unit is so many samples of its own code, and the last 20 ms are silence. */
export const spell = (text: string): Buffer => {
  const perUnit = (sampleRate * spelledMillis) / 1000
  const samples = new Int16Array(text.length * perUnit + sampleRate / 50)
  for (let i = 0; i < text.length; i++) samples.fill(text.charCodeAt(i), i * perUnit, (i + 1) * perUnit)
  return Buffer.from(samples.buffer)
}

const header = (call: Call, ignoredParams: Array<string> = []) =>
  call.write({
    event: {
      $case: "header",
      value: {
        sampleRate,
        model: "scripted",
        modelVersion: "1",
        engine: "scripted",
        ignoredParams,
        deterministic: false
      }
    }
  })
/** Bytes of audio that scripts have written, over all nodes of the process. */
let written = 0
const audio = (call: Call, pcm: Uint8Array) => {
  written += pcm.length
  return call.write({ event: { $case: "audio", value: { pcm } } })
}
const done = (call: Call) => {
  call.write({ event: { $case: "done", value: { audioMs: 1500, generateMs: 1 } } })
  call.end()
}
const piece = (i: number) => spoken.subarray(i * messageBytes, (i + 1) * messageBytes)

const scripts: Record<string, (call: Call) => void> = {
  say: (call) => {
    header(call, call.request.params?.seed === undefined ? [] : ["seed"])
    for (let i = 0; i < messages; i++) audio(call, piece(i))
    done(call)
  },
  /** What was asked, in a voice that anybody can check; see `spell`. */
  spell: (call) => {
    header(call)
    const pcm = spell(call.request.text)
    for (let i = 0; i < pcm.length; i += messageBytes) audio(call, pcm.subarray(i, i + messageBytes))
    done(call)
  },
  /** The same with word times, and nothing after the third message until it is cancelled. */
  halting: (call) => {
    header(call)
    const words = [...call.request.text.matchAll(/\S+/gu)].map((match) => ({
      text: match[0],
      startMs: match.index * spelledMillis,
      endMs: (match.index + match[0].length) * spelledMillis
    }))
    call.write({ event: { $case: "words", value: { words } } })
    const pcm = spell(call.request.text)
    for (let i = 0; i < Math.min(pcm.length, 3 * messageBytes); i += messageBytes) {
      audio(call, pcm.subarray(i, i + messageBytes))
    }
  },
  words: (call) => {
    header(call)
    call.write({ event: { $case: "words", value: { words: [{ text: "ramp", startMs: 0, endMs: 1500 }] } } })
    for (let i = 0; i < messages; i++) audio(call, piece(i))
    done(call)
  },
  silent: (call) => {
    header(call)
    done(call)
  },
  mute: () => {},
  stall: (call) => {
    header(call)
    audio(call, piece(0))
  },
  full: (call) => {
    const trailer = new Metadata()
    trailer.set("scaiinfer-queued", "40")
    call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "full", metadata: trailer })
  },
  refuse: (call) => call.emit("error", { code: status.INVALID_ARGUMENT, details: "language: only English is spoken" }),
  gone: (call) => call.emit("error", { code: status.UNAVAILABLE, details: "draining" }),
  crash: (call) => call.emit("error", { code: status.INTERNAL, details: "engine died" }),
  break: (call) => {
    header(call)
    audio(call, piece(0))
    call.emit("error", { code: status.INTERNAL, details: "engine died" })
  },
  cut: (call) => {
    header(call)
    audio(call, piece(0))
    call.end()
  },
  /** Without end, three times as fast as it is listened to. */
  steady: (call) => {
    header(call)
    const timer = setInterval(() => audio(call, piece(0)), 50)
    call.once("close", () => clearInterval(timer)).once("cancelled", () => clearInterval(timer))
  },
  forever: (call) => {
    header(call)
    const write = () => {
      while (!call.cancelled && !call.destroyed) if (!audio(call, piece(0))) return void call.once("drain", write)
    }
    write()
  }
}

/** A node that listens until the scope closes. */
export const make = Effect.gen(function*() {
  let open = 0
  const requests: Array<SynthesizeRequest> = []
  const held = new Set<string>()
  const server = new Server({ "grpc-node.flow_control_window": 1 << 20 })
  server.addService(AudioServiceService, {
    synthesize: (call: Call) => {
      open++
      requests.push(call.request)
      call.on("close", () => open--)
      call.on("error", () => {})
      const { voice } = call.request
      if (voice?.$case === "reference") {
        if (voice.value.pcm.length > 0) held.add(voice.value.sha256)
        else if (!held.has(voice.value.sha256)) {
          call.emit("error", { code: status.FAILED_PRECONDITION, details: "reference: not held here" })
          return
        }
      }
      const name = call.request.voice?.$case === "presetVoice" ? call.request.voice.value : "say"
      scripts[name]!(call)
    },
    getInfo: (_: unknown, reply: sendUnaryData<GetInfoResponse>) =>
      reply(null, {
        nodeId: "scripted",
        version: "1",
        engines: [{
          engine: "scripted",
          model: "scripted",
          modelVersion: "1",
          languages: ["en"],
          abilities: { cloning: Cloning.ZERO_SHOT, design: true, nativeWordTimes: false, streaming: true },
          state: EngineState.READY,
          stateReason: ""
        }],
        load: { capacity: 100, active: open, queued: 0 },
        draining: false,
        heldReferences: Array.from(held, (sha256) => Buffer.from(sha256, "hex"))
      }),
    listVoices: (_: unknown, reply: sendUnaryData<ListVoicesResponse>) =>
      reply(null, {
        voices: Object.keys(scripts).map((name) => ({
          engine: "scripted",
          name,
          displayName: name,
          description: "",
          languages: ["en"],
          gender: "neutral",
          styleTags: []
        }))
      })
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.bindAsync(
        "127.0.0.1:0",
        ServerCredentials.createInsecure(),
        (error, port) => resume(error ? Effect.die(error) : Effect.succeed(port))
      )
    }),
    () => Effect.sync(() => server.forceShutdown())
  )
  return {
    address: `127.0.0.1:${port}`,
    open: () => open,
    written: () => written,
    requests,
    /** Lets go of every reference clip. */
    forget: () => held.clear(),
    stop: Effect.sync(() => server.forceShutdown())
  }
})
