/**
 * What a relay's reply is, by what it says of itself and by its first bytes.
 *
 * Raw PCM and WAV are speech. Everything else is a failure whatever its status says: relays answer spent quotas, unknown
 * voices and errors of a proxy with 200 and a text.
 */
import { wavHeader } from "./WavHeader.ts"
import type { Found } from "./WavHeader.ts"

/** Headers of the reply that say what its body is. */
export interface ReplyHeaders {
  readonly [name: string]: string | undefined
}

/** Media types under which relays send raw PCM or WAV. Some of them put neither name on it. */
const soundTypes = /^(?:|audio\/(?:x-)?(?:pcm|l16|raw|wav|wave|vnd\.wave)|(?:application|binary)\/octet-stream)$/u

/** Why the reply cannot be speech, from its headers alone. */
export const notSound = (headers: ReplyHeaders): string | undefined => {
  const type = mediaType(headers)
  if (!soundTypes.test(type)) {
    return `The relay answered ${/^[a-z]+\/[a-z0-9.+-]{1,40}/u.exec(type)?.[0] ?? "something else"} for audio.`
  }
  const coding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity"
  return coding === "identity" ? undefined : "The relay answered compressed audio."
}

const mediaType = (headers: ReplyHeaders) => headers["content-type"]?.split(";")[0]!.trim().toLowerCase() ?? ""

/** A text shows by this many bytes: so many of audio are never all valid UTF-8 without control characters. */
const textBytes = 64

/** Hz, of rates that speech is sent in. */
const sampleRateMin = 4000
const sampleRateMax = 192_000
const channelsMax = 8

/** `head` are the first bytes of the body, all of them when it has `ended`. `sampleRate` in Hz, where nothing else says. */
export const formatOf = (head: Uint8Array, ended: boolean, headers: ReplyHeaders, sampleRate: number): Found => {
  const found = guess(Buffer.from(head.buffer, head.byteOffset, head.length), ended, headers, sampleRate)
  if (found === "more") return ended ? { wrong: "The relay ended without audio." } : found
  if ("wrong" in found) return found
  const { channels, sampleRate: rate } = found.layout
  return rate >= sampleRateMin && rate <= sampleRateMax && channels >= 1 && channels <= channelsMax
    ? found
    : { wrong: "The relay answered audio of an impossible format." }
}

const guess = (head: Buffer, ended: boolean, headers: ReplyHeaders, sampleRate: number): Found => {
  if (head.length === 0 || (head.length < 4 && !ended)) return "more"
  const start = head.toString("latin1", 0, textBytes)
  if (start.startsWith("RIFF")) return wavHeader(head)
  if (/wav/u.test(mediaType(headers))) return { wrong: "The relay answered a WAV that is none." }
  if (/^(?:ID3|OggS|fLaC)/u.test(start)) return { wrong: "The relay answered compressed audio." }
  if (/^\s*[{<]/u.test(start)) {
    if (head.length < textBytes && !ended) return "more"
    if (isText(head.subarray(0, textBytes))) return { wrong: "The relay answered a text for audio." }
  }
  const parameter = (name: string) => new RegExp(`;\\s*${name}="?(\\d+)`, "iu").exec(headers["content-type"] ?? "")?.[1]
  return {
    layout: {
      sampleRate: Number(parameter("rate") ?? headers["x-sample-rate"] ?? sampleRate),
      channels: Number(parameter("channels") ?? 1),
      coding: "s16",
      bytes: Infinity
    },
    offset: 0
  }
}

const isText = (bytes: Uint8Array): boolean => {
  try {
    // A character may be cut by the end of the bytes.
    return !/[^\P{Cc}\t\r\n]/u.test(new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true }))
  } catch {
    return false
  }
}
