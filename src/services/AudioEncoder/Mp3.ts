/**
 * MP3 by LAME, constant bit rate, mono, at the very rate asked for: MPEG-1 at 44.1 and 48 kHz, MPEG-2 at 16 to 24 kHz,
 * MPEG-2.5 at 8 kHz. The first frame comes after about two frames of input. Decoders start 1105 samples late
 * (576 of LAME, 529 of the decoder's filter bank). LAME takes 0.45 dB off, so that what it adds to peaks is not clipped.
 *
 * Speaks to the WebAssembly of `wasm-media-encoders` directly: its wrapper makes a 16 MiB instance for every file and
 * cannot free one, while the module itself keeps any number of encoders in one instance.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { SampleRate } from "../../domain/AudioFormat.ts"
import type { MakeCodec } from "./Codec.ts"

/** kbit/s; at least as much as speech needs at each rate, and allowed by the MPEG version that goes with it. */
const bitrateKbps: Record<SampleRate, number> = {
  8000: 32,
  16000: 48,
  22050: 64,
  24000: 64,
  44100: 96,
  48000: 96
}

/** What the module exports; pointers are byte offsets into its memory. */
interface Lame {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly _initialize: () => void
  readonly malloc: (bytes: number) => number
  readonly free: (pointer: number) => void
  /** Takes `{ channels, sampleRate, bitrate: i32, vbrQuality: f32, outputSampleRate: i32 }`; 0 is a refusal. */
  readonly enc_init: (parameters: number) => number
  /** Room for so many samples a channel, as an array of pointers to f32. */
  readonly enc_get_pcm: (encoder: number, samples: number) => number
  readonly enc_encode: (encoder: number, samples: number) => number
  readonly enc_flush: (encoder: number) => number
  readonly enc_get_out_buf: (encoder: number) => number
  readonly enc_free: (encoder: number) => void
}

/** As much of the global as is needed here: its types come with the browser's library only. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new(bytes: Uint8Array) => object
    readonly Instance: new(module: object, imports: object) => { readonly exports: unknown }
  }
}

const load = (): Lame => {
  const file = createRequire(import.meta.url).resolve("wasm-media-encoders/wasm/mp3")
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {
    env: { emscripten_notify_memory_growth: () => {} },
    wasi_snapshot_preview1: {
      proc_exit: (code: number) => {
        throw new Error(`LAME stopped with ${code}`)
      }
    }
  })
  const lame = instance.exports as Lame
  lame._initialize()
  return lame
}

const lame = load()

export const makeMp3: MakeCodec = (sampleRate, sink) => {
  const encoder = open(sampleRate)

  // Calls can grow the memory, so views on it are made anew after each.
  const emit = (length: number) => {
    if (length < 0) throw new Error(`LAME failed with ${length}`)
    sink.write(new Uint8Array(lame.memory.buffer, lame.enc_get_out_buf(encoder), length))
  }

  return {
    write: (samples) => {
      if (samples.length === 0) return
      const channels = lame.enc_get_pcm(encoder, samples.length)
      if (channels === 0) throw new Error("LAME has no memory left")
      const [pointer] = new Uint32Array(lame.memory.buffer, channels, 1)
      const pcm = new Float32Array(lame.memory.buffer, pointer, samples.length)
      for (let i = 0; i < samples.length; i++) pcm[i] = samples[i]! / 32768
      emit(lame.enc_encode(encoder, samples.length))
    },
    end: () => emit(lame.enc_flush(encoder)),
    free: () => lame.enc_free(encoder)
  }
}

const open = (sampleRate: SampleRate): number => {
  const parameters = lame.malloc(5 * 4)
  try {
    const view = new DataView(lame.memory.buffer, parameters)
    view.setInt32(0, 1, true)
    view.setInt32(4, sampleRate, true)
    view.setInt32(8, bitrateKbps[sampleRate], true)
    // Below 0: constant bit rate.
    view.setFloat32(12, -1, true)
    view.setInt32(16, sampleRate, true)
    const encoder = lame.enc_init(parameters)
    if (encoder === 0) throw new Error(`LAME refused ${sampleRate} Hz`)
    return encoder
  } finally {
    lame.free(parameters)
  }
}
