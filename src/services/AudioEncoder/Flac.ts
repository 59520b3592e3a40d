/**
 * FLAC (RFC 9639), streamed frame by frame: each frame leaves as soon as it and one more sample are in, about every
 * 50 ms. STREAMINFO is sent before the end is known, so it says "unknown" for the length and the MD5.
 */
import type Libflac from "libflacjs"
import { createRequire } from "node:module"
import type { MakeCodec } from "./Codec.ts"

// The asm.js build: it is ready without waiting, where the WebAssembly one fetches its file.
const flac = (createRequire(import.meta.url)("libflacjs") as typeof Libflac)("release")

const bitsPerSample = 16
/** libFLAC's default: level 8 saves a few per cent at twice the work. */
const compressionLevel = 5

/** Samples; 48 ms at the common rates, and of the sizes that the format codes in one nibble (RFC 9639 §9.1.1). */
const blockSize = (sampleRate: number): number => (sampleRate > 24_000 ? 2304 : sampleRate > 8000 ? 1152 : 576)

export const makeFlac: MakeCodec = (sampleRate, sink) => {
  const encoder = flac.create_libflac_encoder(
    sampleRate,
    1,
    bitsPerSample,
    compressionLevel,
    0,
    false,
    blockSize(sampleRate)
  )
  if (encoder === 0) throw new Error(`libFLAC refused ${sampleRate} Hz`)
  const status = flac.init_encoder_stream(encoder, (bytes) => sink.write(bytes))
  if (status !== 0) throw new Error(`libFLAC did not start: status ${status}`)

  const check = (ok: boolean | number) => {
    if (!ok) throw new Error(`libFLAC failed in state ${flac.FLAC__stream_encoder_get_state(encoder)}`)
  }

  return {
    write: (samples) => {
      if (samples.length === 0) return
      check(flac.FLAC__stream_encoder_process_interleaved(encoder, Int32Array.from(samples), samples.length))
    },
    end: () => check(flac.FLAC__stream_encoder_finish(encoder)),
    free: () => flac.FLAC__stream_encoder_delete(encoder)
  }
}
