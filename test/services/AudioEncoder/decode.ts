/** Real decoders for every format, to 16 bits, as a player would do it. */
import Libflac from "libflacjs"
import { MPEGDecoder } from "mpg123-decoder"
import assert from "node:assert/strict"
import { createRequire } from "node:module"
import type { AudioFormat } from "../../../src/domain/AudioFormat.ts"
import { alawSample, mulawSample } from "./g711Reference.ts"
import { readOgg } from "./readOgg.ts"
import { samplesOf } from "./Tone.ts"

/** A file, or the beginning of one, to its samples. */
export const decode = async (format: AudioFormat, sampleRate: number, file: Uint8Array): Promise<Int16Array> => {
  switch (format) {
    case "pcm":
      return samplesOf(file)
    case "wav":
      return decodeWav(file, sampleRate)
    case "mulaw":
      return Int16Array.from(file, mulawSample)
    case "alaw":
      return Int16Array.from(file, alawSample)
    case "flac":
      return decodeFlac(file, sampleRate)
    case "opus":
      return decodeOpus(file, sampleRate)
    case "mp3":
      return decodeMp3(file, sampleRate)
  }
}

/** Samples that an MP3 decoder plays before the speech: 576 of LAME, 529 of its own filter bank. */
export const mp3DelaySamples = 1105

const decodeWav = (file: Uint8Array, sampleRate: number): Int16Array => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const text = (from: number, to: number) => Buffer.from(file.subarray(from, to)).toString("latin1")
  assert.deepEqual([text(0, 4), text(8, 16), text(36, 40)], ["RIFF", "WAVEfmt ", "data"])
  assert.deepEqual(
    [view.getUint16(20, true), view.getUint16(22, true), view.getUint32(24, true), view.getUint16(34, true)],
    [1, 1, sampleRate, 16]
  )
  return samplesOf(file.subarray(44, 44 + Math.min(view.getUint32(40, true), file.length - 44)))
}

const decodeFlac = async (file: Uint8Array, sampleRate: number): Promise<Int16Array> => {
  const flac = Libflac("release")
  if (!flac.isReady()) await new Promise((resolve) => flac.on("ready", resolve))
  const decoder = flac.create_libflac_decoder(true)
  const parts: Array<Uint8Array> = []
  const errors: Array<unknown> = []
  let offset = 0
  flac.init_decoder_stream(
    decoder,
    (bytes: number) => {
      const buffer = new Uint8Array(file.subarray(offset, offset + bytes))
      offset += buffer.length
      return { buffer, readDataLength: buffer.length, error: false }
    },
    ([channel]) => parts.push(channel!.slice()),
    (code, description) => errors.push([code, description]),
    (info) => assert.equal(info?.sampleRate, sampleRate)
  )
  flac.FLAC__stream_decoder_process_until_end_of_stream(decoder)
  flac.FLAC__stream_decoder_delete(decoder)
  assert.deepEqual(errors, [])
  return samplesOf(Buffer.concat(parts))
}

interface OpusDecoder {
  readonly decode: (packet: Uint8Array) => Uint8Array
  readonly drop: () => void
}

const decodeOpus = (file: Uint8Array, sampleRate: number): Int16Array => {
  const { Decoder } = createRequire(import.meta.url)("@evan/opus/wasm/index.js") as {
    readonly Decoder: new(options: { readonly channels: 1; readonly sample_rate: number }) => OpusDecoder
  }
  const ogg = readOgg(file)
  const decoder = new Decoder({ channels: 1, sample_rate: sampleRate })
  const samples = samplesOf(Buffer.concat(ogg.packets.map((packet) => decoder.decode(packet))))
  decoder.drop()
  const perGranule = sampleRate / 48_000
  return samples.subarray(ogg.preSkip * perGranule, ogg.granule * perGranule)
}

const decodeMp3 = async (file: Uint8Array, sampleRate: number): Promise<Int16Array> => {
  const decoder = new MPEGDecoder({ enableGapless: false })
  await decoder.ready
  const decoded = decoder.decode(file)
  decoder.free()
  assert.deepEqual(decoded.errors, [])
  assert.equal(decoded.sampleRate, sampleRate)
  return Int16Array.from(
    decoded.channelData[0]!,
    (value) => Math.max(-32768, Math.min(32767, Math.round(value * 32768)))
  )
}
