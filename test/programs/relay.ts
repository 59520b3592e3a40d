/**
 * A managed relay in a process of its own, of both kinds: OpenAI's speech endpoint and ElevenLabs', with a behaviour for
 * each speaker. It prints its port, and answers `GET /calls` with what it was asked and how many requests are open.
 *
 * `v1` is a relay that lists its speakers. Folders before it are relays that list them otherwise, or not.
 */
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { sent, speakers } from "./relay/Speakers.ts"

const calls: Array<{ path: string; key: string | undefined; body: unknown }> = []
let open = 0
let elsewhere = 0

const elevenVoices = {
  voices: [
    ...Object.keys(speakers).map((voice_id) => ({ voice_id, name: voice_id, labels: {} })),
    {
      voice_id: "21m00Tcm4TlvDq8ikWAM",
      name: "Rachel",
      description: "Matter-of-fact.",
      labels: { accent: "American", age: "young", gender: "female", use_case: "narration", language: "en" },
      verified_languages: [{ language: "en", locale: "en-US" }, { language: "de", locale: "de-DE" }]
    }
  ]
}

const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))

/** What a key that may only speak is told, in either kind's words. */
const narrow = { error: { code: "missing_permissions" }, detail: { status: "missing_permissions" } }

/** Lists and probes, by folder and path. */
const answers: Record<string, (response: ServerResponse) => void> = {
  "/v1/models": (response) => json(response, 200, { data: [] }),
  "/v1/audio/voices": (response) => json(response, 200, { voices: Object.keys(speakers) }),
  "/v1/voices": (response) => json(response, 200, elevenVoices),
  "/kokoro/v1/audio/voices": (response) =>
    json(response, 200, { voices: ["bf_emma", { id: "pm_alex", name: "pm_alex" }, "af_sky+af_bella", 7, ""] }),
  "/other/v1/voices": (response) =>
    json(response, 200, { data: [{ id: "one", name: "Uno", gender: "Male", language: "it-IT" }] }),
  "/away/v1/audio/voices": (response) => json(response, 500, {}),
  "/away/v1/voices": (response) => json(response, 500, {}),
  "/away/v1/models": (response) => json(response, 502, {}),
  "/away/v1/text": (response) => response.end("no JSON"),
  "/denied/v1/models": (response) => json(response, 401, { error: { code: "invalid_api_key" } }),
  "/full/v1/models": (response) => response.writeHead(429, { "retry-after": "9" }).end(),
  "/narrow/v1/models": (response) => json(response, 401, narrow),
  "/narrow/v1/voices": (response) => json(response, 401, narrow),
  "/hung/v1/models": () => {},
  "/elsewhere": (response) => {
    elsewhere++
    response.end()
  }
}

const bodyOf = async (request: IncomingMessage) => JSON.parse(Buffer.concat(await request.toArray()).toString())

const server = createServer(async (request, response) => {
  const { pathname, search } = new URL(request.url!, "http://relay")
  if (pathname === "/calls") return json(response, 200, { calls, open, elsewhere, sent: sent.endless })
  const answer = answers[pathname]
  if (answer !== undefined) return answer(response)
  if (request.method !== "POST") return json(response, 404, { error: "no such route" })
  const eleven = /\/text-to-speech\/([^/]+)\/stream$/u.exec(pathname)
  const key = eleven === null ? request.headers.authorization : request.headers["xi-api-key"] as string
  const body = await bodyOf(request)
  calls.push({ path: pathname + search, key, body })
  open++
  response.on("close", () => open--)
  const speaker = eleven === null ? body.voice : decodeURIComponent(eleven[1]!)
  speakers[speaker]!(response, {
    kind: eleven === null ? "openai" : "elevenlabs",
    key: key?.replace("Bearer ", "") ?? "",
    text: eleven === null ? body.input : body.text
  })
})

server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port))
process.stdin.resume().once("close", () => process.exit())
