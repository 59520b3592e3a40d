/**
 * A managed relay in a process of its own whose audio tells who speaks what: the OpenAI speech endpoint, over
 * `markerSpeech.ts`. `argv[2]`: port, 0 = any. It prints its port, then a line of JSON for each call, so that what it was
 * asked outlives it. `POST /trouble/on` makes it stall, break and refuse in turn; `POST /trouble/off` ends that.
 */
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { markerSpeech, speakers } from "./markerSpeech.ts"

/** A dozen pieces a call, some 100 ms apart: calls last about a second and a half. */
const pieceBytes = 40_000
const pieceMillis = 100

let trouble = false
/** Calls taken while there was trouble. */
let troubled = 0

const bodyOf = async (request: IncomingMessage) => JSON.parse(Buffer.concat(await request.toArray()).toString())

/** Ways to fail, before and after the first sound. */
const ways = ["mute", "stall", "drop", "refuse", "full"] as const

const speak = async (request: IncomingMessage, response: ServerResponse) => {
  const { input, voice } = await bodyOf(request)
  console.log(JSON.stringify({ requestId: request.headers["x-request-id"], text: input, speaker: voice }))
  const way = trouble ? ways[troubled++ % ways.length] : undefined
  if (way === "refuse") return void response.writeHead(500).end()
  if (way === "full") return void response.writeHead(429, { "retry-after": "2" }).end()
  if (way === "mute") return
  const { pcm, sampleRate } = markerSpeech(voice, input)
  response.writeHead(200, { "content-type": `audio/pcm; rate=${sampleRate}` })
  for (let at = 0; at < pcm.length && !response.destroyed; at += pieceBytes) {
    // Those that already speak when trouble begins fall silent in the middle.
    if (trouble && at > pcm.length / 2) return way === "drop" ? void response.destroy() : undefined
    response.write(pcm.subarray(at, at + pieceBytes))
    await sleep(pieceMillis)
  }
  response.end()
}

const server = createServer((request, response) => {
  if (request.url === "/v1/audio/voices") return void response.end(JSON.stringify({ voices: speakers }))
  if (request.url?.startsWith("/trouble/")) {
    trouble = request.url.endsWith("/on")
    return void response.end()
  }
  void speak(request, response)
})

server.listen(
  Number(process.argv[2] ?? 0),
  "127.0.0.1",
  () => console.log((server.address() as AddressInfo).port)
)
process.stdin.resume().once("close", () => process.exit())
