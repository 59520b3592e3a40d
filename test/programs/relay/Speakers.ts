/** How the relay of the tests behaves, by the name of who speaks. */
import type { ServerResponse } from "node:http"
import { pcm, wav } from "./Sound.ts"

export interface Asked {
  readonly kind: "openai" | "elevenlabs"
  readonly key: string
  readonly text: string
}

export type Behaviour = (response: ServerResponse, asked: Asked) => void

/** Bytes that the endless speaker has got rid of. */
export const sent = { endless: 0 }

const audio = (response: ServerResponse, type = "audio/pcm") => response.writeHead(200, { "content-type": type })

/** So many bytes at a time. */
const inPieces = (response: ServerResponse, bytes: Buffer, size: number, waitMs = 0) => {
  let at = 0
  const next = () => {
    if (response.destroyed) return
    if (at >= bytes.length) return response.end()
    response.write(bytes.subarray(at, at + size))
    at += size
    if (waitMs === 0) setImmediate(next)
    else setTimeout(next, waitMs)
  }
  next()
}

/** For as long as somebody reads. */
const withoutEnd = (response: ServerResponse, bytes: Buffer, onWritten = () => {}) => {
  const more = () => {
    while (!response.destroyed && response.write(bytes)) onWritten()
  }
  response.on("drain", more)
  more()
}

/** An error as that kind of relay writes it; its sentence repeats what must not be repeated. */
const error = (status: number, code: string, headers: Record<string, string> = {}): Behaviour => (response, asked) => {
  const message = `secret: ${asked.key} said ${asked.text}`
  const body = asked.kind === "openai"
    ? { error: { message, type: "some_error", param: null, code } }
    : { detail: { status: code, message } }
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body))
}

const says = (type: string, text: string): Behaviour => (response) => audio(response, type).end(text)

const file = (type: string, bytes: Buffer, size = 0): Behaviour => (response) => {
  audio(response, type)
  if (size === 0) response.end(bytes)
  else inPieces(response, bytes, size)
}

export const speakers: Record<string, Behaviour> = {
  alloy: file("audio/pcm", pcm),
  unnamed: file("application/octet-stream", pcm),
  odd: file("audio/pcm; rate=16000", pcm, 1001),
  single: file("audio/pcm", pcm.subarray(0, 600), 1),
  /** Half a second in ten pieces. */
  slow: (response) => inPieces(audio(response), pcm, 2400, 30),
  /** Its first sample looks like the begin of a JSON text. */
  brace: file("audio/pcm", Buffer.concat([Buffer.from("{\n"), pcm])),

  wav: file("audio/wav", wav("s16")),
  "wav-pieces": file("audio/x-wav", wav("s16", { metadata: 333, rate: 22_050 }), 7),
  "wav-unnamed": file("audio/pcm", wav("s16", { rate: 16_000 })),
  "wav-endless": file("audio/wav", wav("s16", { length: 0xffffffff })),
  "wav-zero": file("audio/wav", wav("s16", { length: 0 })),
  "wav-stereo": file("audio/wav", wav("f32", { channels: 2, rate: 48_000, extensible: true }), 4099),
  "wav-24": file("audio/wav", wav("s24"), 1000),
  "wav-32": file("audio/wav", wav("s32"), 1001),
  "wav-short": file("audio/wav", wav("s16", { length: 48_000 })),
  "wav-two": file("audio/wav", Buffer.concat([wav("s16"), wav("s16")])),
  "wav-law": file("audio/wav", wav("s16").fill(7, 20, 21)),
  "wav-none": file("audio/wav", pcm),

  half: file("audio/pcm", pcm.subarray(0, 1001)),
  silent: file("audio/pcm", Buffer.alloc(0)),
  "wav-silent": file("audio/wav", wav("s16", { length: 0 }).subarray(0, 44)),
  mute: () => {},
  headers: (response) => audio(response).flushHeaders(),
  stall: (response) => audio(response).write(pcm.subarray(0, 1000)),
  /** A header and no more. */
  "wav-mute": (response) => audio(response, "audio/wav").write(wav("s16", { length: 0 }).subarray(0, 44)),
  drop: (response) => audio(response).write(pcm.subarray(0, 1000), () => response.destroy()),
  hangup: (response) => response.destroy(),
  endless: (response) =>
    withoutEnd(audio(response), pcm, () => {
      sent.endless += pcm.length
    }),

  polite: error(429, "rate_limit_exceeded", { "retry-after": "17" }),
  dated: (response, asked) => {
    const date = new Date(Date.now() + 90_000).toUTCString()
    error(503, "system_busy", { "retry-after": date })(response, asked)
  },
  forever: error(429, "rate_limit_exceeded", { "retry-after": "1000000000" }),
  poor: (response, asked) =>
    asked.kind === "openai"
      ? error(429, "insufficient_quota")(response, asked)
      : error(401, "quota_exceeded")(response, asked),
  denied: error(401, "invalid_api_key"),
  forbidden: error(403, "forbidden"),
  stranger: error(404, "voice_not_found"),
  strange: error(422, "invalid_request"),
  late: error(504, "timeout"),
  broken: error(500, "server_error"),
  parrot: (response, asked) => error(500, asked.key)(response, asked),
  echo: (response, asked) => error(500, asked.text)(response, asked),
  /** An error that never ends. */
  babble: (response) =>
    withoutEnd(response.writeHead(500, { "content-type": "application/json" }), Buffer.alloc(65_536, "{")),
  whisper: (response) => response.writeHead(429, { "retry-after": "3" }).flushHeaders(),
  moved: (response) => response.writeHead(307, { location: "/elsewhere" }).end(),

  excuse: says("application/json", `{"error":"secret"}`),
  page: says("text/html", "<html>secret</html>"),
  masked: says(
    "audio/pcm",
    `\n {"error": {"message": "secret", "type": "quota", "code": "out of it", "more": "and more"}}`
  ),
  "masked-page": says("application/octet-stream", `<!doctype html><html lang="en"><head><title>502 Bad Gateway secret`),
  "masked-short": says("", "{}"),
  music: says("audio/mpeg", "ID3 secret"),
  "music-endless": (response) => withoutEnd(audio(response, "audio/mpeg"), pcm),
  "music-masked": says("audio/pcm", "OggS secret"),
  zipped: (response) => response.writeHead(200, { "content-type": "audio/pcm", "content-encoding": "gzip" }).end(pcm)
}
