/** What a file is told to be, by its content. */
import { describe, it } from "@effect/vitest"
import { Result } from "effect"
import assert from "node:assert/strict"
import { deflateRawSync, gzipSync } from "node:zlib"
import { type Container, sniff } from "../../../src/services/AudioDecoder/Sniff.ts"
import { wavOf } from "../ClipNormaliser/wav.ts"

const latin = (text: string) => Buffer.from(text, "latin1")
/** MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes a frame. */
const mp3 = Buffer.concat([latin("\xff\xfb\x90\x00"), Buffer.alloc(413), latin("\xff\xfb\x90\x00"), Buffer.alloc(413)])
const id3 = (bytes: number) =>
  Buffer.concat([latin("ID3\x04\0\0\0\0"), Buffer.from([bytes >> 7, bytes & 127]), Buffer.alloc(bytes)])
const wav = wavOf({ coding: "s16", sampleRate: 8000, channels: [[0, 0.5, 0]] })
const ogg = (packet: string) =>
  Buffer.concat([latin("OggS\0\x02"), Buffer.alloc(20), Buffer.from([1, packet.length]), latin(packet)])
const adtsFrame = Buffer.concat([Buffer.from([0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc]), Buffer.alloc(9)])
/** An archive without entries, and with one. */
const emptyZip = Buffer.concat([latin("PK\x05\x06"), Buffer.alloc(18)])
const bomb = Buffer.concat([
  latin("PK\x03\x04\x14\0\0\0\x08\0"),
  Buffer.alloc(20),
  deflateRawSync(Buffer.alloc(1 << 20))
])

const read: ReadonlyArray<readonly [what: string, file: Uint8Array, container: Container, start?: number]> = [
  ["WAV", wav, "wav"],
  ["MP3", mp3, "mp3"],
  ["MP3 behind a tag", Buffer.concat([id3(1000), mp3]), "mp3", 1010],
  ["MP3 behind two tags", Buffer.concat([id3(5), id3(200), mp3]), "mp3", 225],
  ["FLAC", latin("fLaC\0\0\0\x22"), "flac"],
  ["FLAC behind a tag", Buffer.concat([id3(10), latin("fLaC\0")]), "flac", 20],
  ["Opus in Ogg", ogg("OpusHead\x01\x01"), "ogg-opus"],
  ["Vorbis in Ogg", ogg("\x01vorbis"), "ogg-vorbis"],
  ["WebM", latin("\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"), "webm"],
  ["M4A", latin("\0\0\0\x1cftypM4A "), "mp4"],
  ["ADTS", Buffer.concat([adtsFrame, adtsFrame]), "adts"]
]

const refused: ReadonlyArray<readonly [what: string, file: Uint8Array, reason: RegExp]> = [
  ["nothing", new Uint8Array(0), /^is empty$/u],
  ["a byte", Buffer.of(0xff), /no known sound format/u],
  ["noise", Buffer.from([0x13, 0x37, 0xca, 0xfe, 0x00, 0x80]), /no known sound format/u],
  ["text", latin("Dear sir,\nplease find attached my voice."), /^is text,/u],
  ["a sync word in text", latin("\xff\xfbHello, this is no frame at all."), /no known sound format/u],
  ["SVG", latin("<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"), /SVG/u],
  ["SVG behind a declaration", latin("\xef\xbb\xbf <?xml version='1.0'?>\n<svg/>"), /SVG/u],
  ["HTML", latin("<!DOCTYPE html><html></html>"), /HTML/u],
  ["a script", latin("<script>alert(1)</script>"), /HTML/u],
  ["XML", latin("<?xml version='1.0'?><speak/>"), /XML/u],
  ["HTML behind a tag", Buffer.concat([id3(20), latin("<html>")]), /HTML/u],
  ["HTML with frames in it", Buffer.concat([latin("<html><!--"), mp3]), /HTML/u],
  ["PDF", latin("%PDF-1.7\n"), /PDF/u],
  [
    "a WAV that is a PDF too",
    Buffer.concat([wav.subarray(0, 12), latin("note\x08\0\0\0%PDF-1.7"), wav.subarray(12)]),
    /PDF/u
  ],
  ["ZIP", bomb, /ZIP/u],
  ["a WAV that is an archive too", Buffer.concat([wav, emptyZip]), /ZIP archive behind/u],
  [
    "an MP3 that is an archive with a comment too",
    Buffer.concat([mp3, emptyZip.subarray(0, 20), latin("\x05\0hello")]),
    /ZIP archive behind/u
  ],
  ["gzip", gzipSync("x"), /gzip/u],
  ["a program", latin("\x7fELF\x02"), /program/u],
  ["a shell script", latin("#!/bin/sh\n"), /program/u],
  ["PNG", latin("\x89PNG\r\n\x1a\n"), /PNG/u],
  ["GIF with WAV behind it", Buffer.concat([latin("GIF89a"), wav]), /GIF/u],
  ["JPEG, whose mark is nearly a frame's", latin("\xff\xd8\xff\xe0"), /JPEG/u],
  ["AVI", latin("RIFF\0\0\0\0AVI LIST"), /AVI/u],
  ["AIFF", latin("FORM\0\0\0\0AIFF"), /AIFF/u],
  ["Windows Media", latin("\x30\x26\xb2\x75\x8e\x66\xcf\x11"), /Windows Media/u],
  ["AMR", latin("#!AMR\n"), /AMR/u],
  ["MIDI", latin("MThd\0\0\0\x06"), /MIDI/u],
  ["Matroska", latin("\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska"), /Matroska/u],
  ["Speex in Ogg", ogg("Speex   "), /Ogg with neither/u],
  ["an endless tag", Buffer.concat([latin("ID3\x04\0\0\x7f\x7f\x7f\x7f"), mp3]), /no known sound format/u],
  ["MPEG layer II", latin("\xff\xfd\x90\x00"), /no known sound format/u],
  [
    "one frame and then nothing of the kind",
    Buffer.concat([mp3.subarray(0, 417), Buffer.alloc(100, 1)]),
    /no known sound format/u
  ]
]

describe("a file", () => {
  for (const [what, file, container, start = 0] of read) {
    it(`is ${what}`, () => {
      assert.deepEqual(sniff(file), Result.succeed({ container, start }))
    })
  }

  it.each(refused)("is %s, and refused", (_, file, reason) => {
    const sniffed = sniff(file)
    assert.ok(Result.isFailure(sniffed))
    assert.match(sniffed.failure, reason)
  })

  it("may be cut anywhere", () => {
    const files = [...read.map(([, file]) => file), ...refused.map(([, file]) => file)]
    for (const file of files) {
      for (let length = 0; length < Math.min(file.length, 600); length++) {
        assert.ok(Result.isResult(sniff(Uint8Array.from(file.subarray(0, length)))))
      }
    }
  })
})
