/**
 * A managed relay in a process of its own: the OpenAI speech endpoint, with a behaviour for each speaker. It prints its
 * port, and answers `GET /calls` with what it was asked and how many requests are open.
 */
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** 24 kHz, s16le: half a second that counts up, so that a lost or split sample shows. */
const pcm = Buffer.from(Int16Array.from({ length: 12_000 }, (_, i) => i + 1).buffer)

const calls: Array<{ authorization: string | undefined; body: unknown }> = []
let open = 0

type Behaviour = (response: ServerResponse) => void

const speakers: Record<string, Behaviour> = {
  alloy: (response) => {
    response.writeHead(200, { "content-type": "audio/pcm" })
    response.end(pcm)
  },
  /** Sends odd numbers of bytes at a time. */
  odd: (response) => {
    response.writeHead(200, { "content-type": "audio/pcm; rate=16000" })
    let at = 0
    const next = () => {
      if (at >= pcm.length) return response.end()
      response.write(pcm.subarray(at, at + 1001))
      at += 1001
      setImmediate(next)
    }
    next()
  },
  half: (response) => response.writeHead(200, { "content-type": "audio/pcm" }).end(pcm.subarray(0, 1001)),
  silent: (response) => response.writeHead(200, { "content-type": "audio/pcm" }).end(),
  mute: () => {},
  stall: (response) => {
    response.writeHead(200, { "content-type": "audio/pcm" })
    response.write(pcm.subarray(0, 1000))
  },
  drop: (response) => {
    response.writeHead(200, { "content-type": "audio/pcm" })
    response.write(pcm.subarray(0, 1000), () => response.destroy())
  },
  polite: (response) => response.writeHead(429, { "retry-after": "17" }).end("slow down"),
  late: (response) => response.writeHead(504).end(),
  broken: (response) =>
    response.writeHead(500, { "content-type": "application/json" }).end(`{"error":{"message":"secret"}}`),
  excuse: (response) => response.writeHead(200, { "content-type": "application/json" }).end(`{"error":"no audio"}`)
}

const bodyOf = async (request: IncomingMessage) => JSON.parse(Buffer.concat(await request.toArray()).toString())

const server = createServer(async (request, response) => {
  if (request.url === "/calls") return response.end(JSON.stringify({ calls, open }))
  if (request.url === "/v1/audio/voices") return response.end(JSON.stringify({ voices: Object.keys(speakers) }))
  const body = await bodyOf(request)
  calls.push({ authorization: request.headers.authorization, body })
  open++
  response.on("close", () => open--)
  speakers[body.voice]!(response)
})

server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port))
process.stdin.resume().once("close", () => process.exit())
