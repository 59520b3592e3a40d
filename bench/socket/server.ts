/**
 * `WS /stream/speak` over an engine that answers at once, and beside it a bare `ws` server that answers every flush with
 * the same frames in one piece. Prints both ports; a line on its standard input is answered with CPU (ms) and memory (MB).
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { WebSocketServer } from "@effect/platform-node/NodeWS"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline"
import * as Envelope from "../../src/http/Envelope.ts"
import { AudioEncoder } from "../../src/services/AudioEncoder.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Ledger } from "../../src/services/Ledger.ts"
import { StreamService } from "../../src/stream/StreamService.ts"
import { Sockets } from "../../src/stream/websocket/Sockets.ts"
import * as SpeakRoute from "../../src/stream/websocket/SpeakRoute.ts"
import { serverOptions } from "../../src/stream/websocket/Upgrade.ts"
import * as ScriptedSynthesis from "../../test/layers/ScriptedSynthesis.ts"
import { caller } from "../../test/stream/Client.ts"

/** Hz; a sentence is two seconds of speech. */
const sampleRate = 16_000
const pcm = new Uint8Array(2 * sampleRate * 2).fill(1)
/** As live PCM goes out. */
const partBytes = 16 * 1024

const options = {
  stream: { leadMs: 30_000, writeMs: 30_000, idleMs: 60_000, sessionMs: 3_600_000, resumeMs: 0 },
  drainMs: 1000
}

const Service = HttpRouter.serve(Layer.merge(SpeakRoute.layer("/bench"), Envelope.layer), {
  disableListenLog: true,
  disableLogger: true
}).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", websocket: serverOptions })),
  Layer.provide(StreamService.layer(options)),
  Layer.provide(Sockets.layer({ pingMs: 20_000 })),
  Layer.provide(AudioEncoder.layer({ workers: 1 })),
  Layer.provide(ScriptedSynthesis.layer(() => ({ pieces: [pcm] }), sampleRate)),
  Layer.provide(Layer.succeed(Identity, Identity.of({ authenticate: () => Effect.succeed(caller) }))),
  Layer.provide(Layer.succeed(
    Ledger,
    Ledger.of({ usage: () => Effect.void, audit: () => Effect.void, depth: Effect.succeed(0) })
  ))
)

const bare = async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false })
  const segment = JSON.stringify({
    type: "segment",
    utterance: 1,
    segment: 1,
    text: "x".repeat(40),
    start_ms: 0,
    chars: [0, 40]
  })
  const done = JSON.stringify({ type: "flush_done", audio_ms: 2000, characters: 40 })
  server.on("connection", (socket, request) => {
    socket.on("message", (message) => {
      const { type } = JSON.parse(String(message))
      if (type === "open") socket.send(JSON.stringify({ type: "ready" }))
      if (type !== "flush") return
      request.socket.cork()
      socket.send(segment)
      for (let at = 0; at < pcm.length; at += partBytes) socket.send(pcm.subarray(at, at + partBytes))
      socket.send(done)
      request.socket.uncork()
    })
  })
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

await Effect.runPromise(
  Effect.scoped(Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    if (!("port" in address)) throw new Error("no port")
    console.log(
      JSON.stringify({
        service: `ws://127.0.0.1:${address.port}/bench/stream/speak`,
        bare: `ws://127.0.0.1:${yield* Effect.promise(bare)}`
      })
    )
    createInterface({ input: process.stdin }).on("line", () => {
      const { system, user } = process.cpuUsage()
      console.log(JSON.stringify({ cpuMs: (system + user) / 1000, rssMb: process.memoryUsage().rss / 2 ** 20 }))
    }).on("close", () => process.exit())
    return yield* Effect.never
  })).pipe(Effect.provide(Service))
)
