/**
 * The baseline: the least that can stand between a WebSocket and a node. `ws`, grpc-js, a sentence ends at a space; no checks,
 * no pacing, no codec, one frame a message, in the frames of a live session.
 */
import { WebSocketServer } from "@effect/platform-node/NodeWS"
import type { WebSocket } from "@effect/platform-node/NodeWS"
import { credentials } from "@grpc/grpc-js"
import type { ClientReadableStream } from "@grpc/grpc-js"
import type { AddressInfo } from "node:net"
import { tuneCollector } from "../../src/cli/Collector.ts"
import { AudioServiceClient } from "../../src/proto/scaiinfer/v1/audio.ts"
import type { SynthesizeEvent } from "../../src/proto/scaiinfer/v1/audio.ts"

tuneCollector()
const client = new AudioServiceClient(process.argv[2]!, credentials.createInsecure(), {
  "grpc-node.flow_control_window": 1 << 20
})

const speak = (text: string) =>
  client.synthesize({
    requestId: "relay",
    engine: "default",
    text,
    language: "en",
    voice: { $case: "presetVoice", value: "one" },
    params: undefined
  })

const carry = (socket: WebSocket) => {
  const say = (frame: object) => socket.send(JSON.stringify(frame))
  let text = ""
  /** Sentences that are being spoken, all at once, the first of them heard. */
  let calls: Array<ClientReadableStream<SynthesizeEvent>> = []
  let flushes = 0

  const stop = () => {
    for (const call of calls) call.cancel()
    calls = []
  }
  const answer = () => {
    for (; calls.length === 0 && flushes > 0; flushes--) say({ type: "flush_done" })
  }
  const hear = (call: ClientReadableStream<SynthesizeEvent>) =>
    call.on("data", ({ event }: SynthesizeEvent) => {
      if (event?.$case === "audio" && call === calls[0]) socket.send(event.value.pcm)
    })
  const begin = (sentence: string) => {
    const call = speak(sentence)
    call.on("error", () => {})
    call.once("end", () => {
      if (call !== calls[0]) return
      calls.shift()
      if (calls.length > 0) hear(calls[0]!)
      answer()
    })
    calls.push(call)
    if (calls.length === 1) hear(call)
  }

  socket.on("message", (data: Buffer) => {
    const frame = JSON.parse(data.toString())
    switch (frame.type) {
      case "open":
        return say({ type: "ready" })
      case "text": {
        text += frame.delta
        for (let end = text.search(/[.!?]\s/u); end >= 0; end = text.search(/[.!?]\s/u)) {
          begin(text.slice(0, end + 2))
          text = text.slice(end + 2)
        }
        return
      }
      case "flush":
        if (text.trim() !== "") begin(text)
        text = ""
        flushes++
        return answer()
      case "interrupt":
        text = ""
        stop()
        answer()
        return say({ type: "interrupted" })
      case "close":
        return socket.close(1000)
    }
  })
  socket.on("close", stop)
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false })
server.on("listening", () => console.log(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`))
server.on("connection", carry)
process.stdin.resume().once("close", () => process.exit())
