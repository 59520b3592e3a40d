/**
 * Four people, recorded, from packages that the test set-up installs: three men of `pocketsphinx-testdata` and the woman who
 * names loudspeakers in `alsa-utils`. Each one's recordings are dealt out second by second by turns, so that a voice
 * can be fitted to one half and compared with the other.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { makeResampler } from "../../../src/services/Resampler.ts"

export interface Speaker {
  readonly name: string
  /** 16 kHz. */
  readonly given: Int16Array
  readonly unseen: Int16Array
}

const sphinx = "/usr/share/pocketsphinx/test/data"
const alsa = "/usr/share/sounds/alsa"

export const readSpeakers = (): ReadonlyArray<Speaker> => [
  // A reader of LibriVox, 25 s.
  speaker("librivox", listed(`${sphinx}/librivox`, /\.wav$/u).map(readWav)),
  // Names of playing cards, 10 s.
  speaker("cards", listed(`${sphinx}/cards`, /\.wav$/u).map(readWav)),
  // Commands to a robot, and numbers, 10 s.
  speaker(
    "commands",
    ["goforward", "numbers", "something"].map((name) => samplesOf(readFileSync(`${sphinx}/${name}.raw`)))
  ),
  // "Front left", "rear right" and so on, 11 s.
  speaker("alsa", listed(alsa, /_.*\.wav$/u).map(readWav))
]

/** What the reader of LibriVox says, file by file. */
export const readLibrivox = (): ReadonlyArray<{ readonly text: string; readonly file: string }> =>
  readFileSync(`${sphinx}/librivox/transcription`, "utf8").trim().split("\n").map((line) => {
    const [, text, name] = /^<s> (.*) <\/s> \((.*)\)$/u.exec(line)!
    return { text: text!, file: `${sphinx}/librivox/${name}.wav` }
  })

const listed = (folder: string, pattern: RegExp) =>
  readdirSync(folder).filter((name) => pattern.test(name)).sort().map((name) => join(folder, name))

const speaker = (name: string, clips: ReadonlyArray<Int16Array>): Speaker => {
  const all = join16(clips)
  const seconds = Array.from({ length: Math.ceil(all.length / 16000) }, (_, i) => all.slice(i * 16000, (i + 1) * 16000))
  return {
    name,
    given: join16(seconds.filter((_, i) => i % 2 === 0)),
    unseen: join16(seconds.filter((_, i) => i % 2 === 1))
  }
}

export const join16 = (parts: ReadonlyArray<Int16Array>): Int16Array => {
  const all = new Int16Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

export const bytesOf = (samples: Int16Array): Uint8Array =>
  new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)

const headerBytes = 44

/** 16-bit mono with the plain header, at any rate. */
export const readWav = (path: string): Int16Array => {
  const bytes = readFileSync(path)
  const rate = bytes.readUInt32LE(24)
  const samples = samplesOf(bytes.subarray(headerBytes))
  if (rate === 16000) return samples
  const resampler = makeResampler(rate, 16000)
  return join16([resampler.push(samples), resampler.end()].map((part) => Int16Array.from(part, Math.round)))
}

const samplesOf = (bytes: Buffer): Int16Array =>
  Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i))
