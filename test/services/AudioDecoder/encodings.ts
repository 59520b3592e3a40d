/** One signal in every format that can be uploaded: by the service's own encoders, by mediabunny, LAME's sibling, and ffmpeg. */
import { Effect, Stream } from "effect"
import { BufferTarget, EncodedAudioPacketSource, EncodedPacket, Output, WebMOutputFormat } from "mediabunny"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { createEncoder } from "wasm-media-encoders"
import { AudioEncoder, completed } from "../../../src/services/AudioEncoder.ts"
import { readOgg } from "../AudioEncoder/readOgg.ts"
import { pcmOf } from "../AudioEncoder/Tone.ts"
import { wavOf } from "../ClipNormaliser/wav.ts"

export type Encoding = "wav" | "mp3" | "flac" | "ogg-opus" | "ogg-vorbis" | "webm" | "mp4" | "adts"

/** Hz; every encoder takes it. */
export const sampleRate = 48_000

/** Mono, at {@link sampleRate}, full scale 1. */
export const encodings = Effect.fnUntraced(function*(signal: Float64Array) {
  const encoder = yield* AudioEncoder
  const own = Effect.fnUntraced(function*(format: "mp3" | "flac" | "opus") {
    const encode = encoder.encode({ format, sourceRate: sampleRate, targetRate: sampleRate })
    const parts = yield* Stream.runCollect(encode(Stream.make({ pcm: pcmOf(signal), words: [] })))
    return Buffer.from(completed(format, Buffer.concat(parts)))
  })
  const wav = wavOf({ coding: "s16", sampleRate, channels: [signal] })
  const opus = yield* own("opus")
  return {
    wav,
    mp3: yield* own("mp3"),
    flac: yield* own("flac"),
    "ogg-opus": opus,
    "ogg-vorbis": yield* Effect.promise(() => vorbisOf(signal)),
    webm: yield* Effect.promise(() => webmOf(opus)),
    mp4: byFfmpeg(wav, "-c:a aac -f ipod -movflags frag_keyframe+empty_moov"),
    adts: byFfmpeg(wav, "-c:a aac -f adts")
  } satisfies Record<Encoding, Buffer>
})

const vorbisOf = async (signal: Float64Array): Promise<Buffer> => {
  const module = readFileSync(createRequire(import.meta.url).resolve("wasm-media-encoders/wasm/ogg"))
  const encoder = await createEncoder("audio/ogg", `data:application/wasm;base64,${module.toString("base64")}`)
  encoder.configure({ sampleRate, channels: 1, vbrQuality: 5 })
  // Each call answers with a view on one buffer.
  const parts = [Buffer.from(encoder.encode([Float32Array.from(signal)]))]
  parts.push(Buffer.from(encoder.finalize()))
  return Buffer.concat(parts)
}

/** The packets of an Ogg file as a browser's recorder writes them. */
const webmOf = async (ogg: Buffer): Promise<Buffer> => {
  const { packets, preSkip } = readOgg(ogg)
  const target = new BufferTarget()
  const output = new Output({ format: new WebMOutputFormat({ appendOnly: true }), target })
  const source = new EncodedAudioPacketSource("opus")
  output.addAudioTrack(source)
  await output.start()
  const head = Buffer.alloc(19)
  head.write("OpusHead", "latin1")
  head.set([1, 1], 8)
  head.writeUInt16LE(preSkip, 10)
  head.writeUInt32LE(sampleRate, 12)
  for (const [n, packet] of packets.entries()) {
    await source.add(new EncodedPacket(packet, "key", n * 0.02, 0.02), {
      decoderConfig: { codec: "opus", sampleRate, numberOfChannels: 1, description: head }
    })
  }
  await output.finalize()
  return Buffer.from(target.buffer!)
}

export const byFfmpeg = (wav: Uint8Array, options: string): Buffer => {
  const { status, stderr, stdout } = spawnSync(
    "ffmpeg",
    `-hide_banner -loglevel error -i pipe:0 ${options} pipe:1`.split(" "),
    { input: wav, maxBuffer: 64 * 2 ** 20 }
  )
  if (status !== 0) throw new Error(stderr.toString())
  return stdout
}
