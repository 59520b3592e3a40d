/** Uploads that mean no good, as the part `reference`, and what each is answered: by a preflight, and by an intake. */
import { setTimeout as sleep } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { clip } from "../Cloning/forms.ts"
import { fieldPart, filePart, type Part } from "./upload.ts"

type Answer = readonly [status: number, code?: string]

export interface Hostile {
  readonly what: string
  readonly parts: () => Iterable<Part>
  readonly preflight: Answer
  /** Where it is another one. */
  readonly intake?: Answer
  readonly headers?: Record<string, string>
}

const zeros = Buffer.alloc(64 * 1024)
function* repeated(bytes: Uint8Array, times: number) {
  for (let n = 0; n < times; n++) yield bytes
}
// MPEG-2.5 layer III, 8 kbit/s, 8 kHz: 72 bytes are 72 ms of silence.
const silentFrame = Buffer.concat([Buffer.from([0xff, 0xe3, 0x18, 0xc4]), Buffer.alloc(68)])
const silentMinute = Buffer.alloc(833 * silentFrame.length, silentFrame)
const claims2Gb = (() => {
  const lying = Buffer.from(clip)
  lying.writeUInt32LE(0x7fffffff, 4)
  lying.writeUInt32LE(0x7fffff00, 40)
  return lying
})()
const zipBomb = Buffer.concat([
  Buffer.from("PK\x03\x04\x14\0\0\0\x08\0", "latin1"),
  gzipSync(Buffer.alloc(64 * 2 ** 20))
])
const svg = Buffer.from("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
const drip = async function*() {
  for (;;) {
    yield Buffer.from("x")
    await sleep(50)
  }
}
const undecodable = [422, "SCAISPEAK_AUDIO_UNDECODABLE"] as const
const large = [413, "PAYLOAD_TOO_LARGE"] as const
export const hostile: ReadonlyArray<Hostile> = [
  { what: "zip bomb", parts: () => [filePart("reference", [zipBomb])], preflight: undecodable },
  {
    what: "gzip bomb",
    parts: () => [filePart("reference", [gzipSync(Buffer.alloc(64 * 2 ** 20))])],
    preflight: undecodable
  },
  { what: "svg", parts: () => [filePart("reference", [svg], "clip.mp3", "audio/mpeg")], preflight: undecodable },
  {
    what: "polyglot of wav and zip",
    parts: () => [filePart("reference", [clip, Buffer.from("PK\x05\x06"), Buffer.alloc(18)])],
    preflight: undecodable
  },
  {
    what: "polyglot of html and mp3",
    parts: () => [filePart("reference", [Buffer.from("<html><!--"), silentMinute])],
    preflight: undecodable
  },
  {
    what: "random bytes",
    parts: () => [filePart("reference", [Buffer.from(clip.map((value, n) => (value * 7 + n * 13) % 251))])],
    preflight: undecodable
  },
  { what: "nothing", parts: () => [filePart("reference", [])], preflight: undecodable },
  {
    what: "wav that claims 2 GB",
    parts: () => [filePart("reference", [claims2Gb])],
    preflight: [200],
    // It holds ten good seconds.
    intake: [201]
  },
  {
    what: "8 h mp3 of silence",
    parts: () => [filePart("reference", repeated(silentMinute, 480), "clip.mp3")],
    preflight: [200],
    intake: [422, "SCAISPEAK_VOICE_PREFLIGHT_FAILED"]
  },
  { what: "34 MB of wav", parts: () => [filePart("reference", repeated(zeros, 545))], preflight: large },
  { what: "endless body", parts: () => [filePart("reference", repeated(zeros, 1e9))], preflight: large },
  {
    what: "body that says 2 GB",
    parts: () => [filePart("reference", repeated(zeros, 1e9))],
    preflight: large,
    headers: { "content-length": "2147483648" }
  },
  {
    what: "endless field",
    parts: () => [{ ...fieldPart("reference", ""), body: repeated(zeros, 1e9) }],
    preflight: large
  },
  { what: "10 000 tiny parts", parts: () => repeatedParts(10_000), preflight: [422, "VALIDATION_ERROR"] },
  {
    what: "endless part without a name",
    parts: () => [{ headers: ["x: y"], body: repeated(zeros, 1e9) }],
    preflight: large
  },
  {
    what: "endless part headers",
    parts: () => [{ headers: [`x: ${"y".repeat(2 ** 20)}`], body: [] }],
    preflight: [422, "VALIDATION_ERROR"]
  },
  { what: "slow upload", parts: () => [filePart("reference", drip())], preflight: [422, "VALIDATION_ERROR"] }
]

function* repeatedParts(count: number) {
  for (let n = 0; n < count; n++) yield fieldPart(`f${n}`, "x")
}
