/**
 * What a file is, by its content alone: neither its name nor its declared type is ever asked.
 *
 * A format that can be decoded is recognised by what stands at its very beginning (behind ID3v2 tags, which some write
 * in front of everything), and never by something found later, so that a file which is also a page, a document or an
 * archive counts as that. Answers in words that continue "The clip …" what anything else is.
 */
import { Result } from "effect"
import { mp3FrameBytes } from "./MpegFrame.ts"

export type Container = "wav" | "mp3" | "flac" | "ogg-opus" | "ogg-vorbis" | "webm" | "mp4" | "adts"

export interface Sniffed {
  readonly container: Container
  /** Bytes of ID3v2 tags before the sound. */
  readonly start: number
}

const accepted = "send WAV, MP3, FLAC, Ogg with Opus or Vorbis, WebM with Opus, or AAC in M4A"
/** Where readers of PDF look for its mark (ISO 32000-1, Annex H.3, note 13). */
const pdfHeadBytes = 1024
const headBytes = 4096

export const sniff = (file: Uint8Array): Result.Result<Sniffed, string> => {
  if (file.length === 0) return Result.fail("is empty")
  const start = endOfId3(file)
  const sound = otherSound(file.subarray(start))
  if (sound !== undefined) return Result.fail(`is ${sound}: ${accepted}`)
  const foreign = foreignKind(file)
  if (foreign !== undefined) return Result.fail(`is ${foreign}, not a sound that can be read: ${accepted}`)
  const container = containerAt(file.subarray(start))
  if (container !== undefined) return Result.succeed({ container, start })
  return Result.fail(`is of no known sound format: ${accepted}`)
}

const containerAt = (file: Uint8Array): Container | undefined => {
  if (text(file, 0, 4) === "RIFF" && text(file, 8, 4) === "WAVE") return "wav"
  if (text(file, 0, 4) === "fLaC") return "flac"
  if (text(file, 0, 4) === "OggS") {
    // The first page holds the identification header alone, behind a table of one entry.
    const packet = 27 + (file[26] ?? 0)
    if (text(file, packet, 8) === "OpusHead") return "ogg-opus"
    if (text(file, packet, 7) === "\x01vorbis") return "ogg-vorbis"
  }
  if (text(file, 0, 4) === "\x1a\x45\xdf\xa3" && text(file, 0, 128).includes("webm")) return "webm"
  if (text(file, 4, 4) === "ftyp") return "mp4"
  if (isAdts(file)) return "adts"
  const length = mp3FrameBytes(file, 0)
  if (length === undefined) return undefined
  // One header is four bytes that may be there by chance; a second one is where the first says.
  return isWhole(file, length, 4) || mp3FrameBytes(file, length) !== undefined ? "mp3" : undefined
}

/** Two frames of ADTS (ISO/IEC 13818-7 §6.2): twelve bits of sync, layer 0, and the length of each frame. */
const isAdts = (file: Uint8Array): boolean => {
  const frame = (at: number) =>
    file[at] === 0xff && ((file[at + 1] ?? 0) & 0xf6) === 0xf0
      ? (((file[at + 3] ?? 0) & 3) << 11) | ((file[at + 4] ?? 0) << 3) | ((file[at + 5] ?? 0) >> 5)
      : 0
  const length = frame(0)
  return length > 7 && (isWhole(file, length, 7) || frame(length) > 7)
}

/** Whether the file is one frame and at most the beginning of another's header. */
const isWhole = (file: Uint8Array, frameBytes: number, headerBytes: number): boolean =>
  file.length >= frameBytes && file.length < frameBytes + headerBytes

/** Behind any number of ID3v2 tags (id3.org, "ID3 tag version 2.4.0", §3.1): sizes of four times seven bits. */
const endOfId3 = (file: Uint8Array): number => {
  let at = 0
  while (text(file, at, 3) === "ID3" && at + 10 <= file.length) {
    const size = [6, 7, 8, 9].reduce((sum, n) => sum * 128 + (file[at + n]! & 0x7f), 0)
    const footer = (file[at + 5]! & 0x10) === 0 ? 0 : 10
    at += 10 + size + footer
  }
  return Math.min(at, file.length)
}

const marks: ReadonlyArray<readonly [mark: string, at: number, kind: string]> = [
  ["PK\x03\x04", 0, "a ZIP archive or a document in one"],
  ["PK\x05\x06", 0, "a ZIP archive"],
  ["\x1f\x8b", 0, "a gzip archive"],
  ["BZh", 0, "a bzip2 archive"],
  ["\xfd7zXZ", 0, "an xz archive"],
  ["\x28\xb5\x2f\xfd", 0, "a Zstandard archive"],
  ["7z\xbc\xaf\x27\x1c", 0, "a 7z archive"],
  ["Rar!", 0, "a RAR archive"],
  ["\x89PNG", 0, "a PNG image"],
  ["\xff\xd8\xff", 0, "a JPEG image"],
  ["GIF8", 0, "a GIF image"],
  ["WEBP", 8, "a WebP image"],
  ["\x7fELF", 0, "a program"],
  ["MZ", 0, "a program"],
  ["\0asm", 0, "a program"],
  ["#!/", 0, "a program"],
  ["AVI ", 8, "an AVI film"],
  ["FLV\x01", 0, "a Flash film"]
]

const foreignKind = (file: Uint8Array): string | undefined => {
  const marked = marks.find(([mark, at]) => text(file, at, mark.length) === mark)
  if (marked !== undefined) return marked[2]
  if (text(file, 0, pdfHeadBytes).includes("%PDF-")) return "a PDF document"
  if (endsAsZip(file)) return "a ZIP archive behind something else"
  return markup(Buffer.from(file.subarray(endOfId3(file), endOfId3(file) + headBytes)).toString("latin1"))
}

const markup = (head: string): string | undefined => {
  const body = head.replace(/^(?:\xef\xbb\xbf)?\s+|^\xef\xbb\xbf/u, "").toLowerCase()
  if (!body.startsWith("<")) return /^[\t\n\r -~]+$/u.test(body) && body !== "" ? "text" : undefined
  if (body.includes("<svg")) return "an SVG image"
  return body.includes("<html") || body.startsWith("<!doctype html") || body.includes("<script")
    ? "an HTML page"
    : "XML"
}

/** The end record of an archive (PKWARE APPNOTE 4.3.16) whose comment reaches to the end of the file. */
const endsAsZip = (file: Uint8Array): boolean => {
  const tail = Buffer.from(
    file.buffer,
    file.byteOffset + Math.max(0, file.length - 22 - 0xffff),
    Math.min(
      file.length,
      22 + 0xffff
    )
  )
  const at = tail.lastIndexOf("PK\x05\x06", undefined, "latin1")
  return at !== -1 && at + 22 <= tail.length && at + 22 + tail.readUInt16LE(at + 20) === tail.length
}

const sounds: ReadonlyArray<readonly [mark: string, at: number, kind: string]> = [
  ["RF64", 0, "RF64"],
  ["FORM", 0, "AIFF"],
  ["caff", 0, "Apple CAF"],
  ["#!AMR", 0, "AMR"],
  ["MThd", 0, "MIDI"],
  ["\x30\x26\xb2\x75", 0, "Windows Media"],
  [".snd", 0, "Sun AU"],
  ["\x0b\x77", 0, "AC-3"]
]

const otherSound = (file: Uint8Array): string | undefined => {
  if (text(file, 0, 4) === "OggS") {
    return containerAt(file) === undefined
      ? "Ogg with neither Opus nor Vorbis"
      : undefined
  }
  if (text(file, 0, 4) === "\x1a\x45\xdf\xa3") return containerAt(file) === undefined ? "Matroska" : undefined
  return sounds.find(([mark, at]) => text(file, at, mark.length) === mark)?.[2]
}

const text = (file: Uint8Array, at: number, length: number): string =>
  Buffer.from(file.buffer, file.byteOffset + Math.min(at, file.length), Math.max(0, Math.min(length, file.length - at)))
    .toString("latin1")
