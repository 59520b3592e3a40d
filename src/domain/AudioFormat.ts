/**
 * Formats that audio is sent in, which sample rates each can carry, and the arithmetic between bytes, samples and ms.
 *
 * Inside the service audio is always s16le mono PCM.
 */
import { Schema } from "effect"

/** Hz. */
export const SampleRate = Schema.Literals([8000, 16000, 22050, 24000, 44100, 48000])
export type SampleRate = typeof SampleRate.Type

/** `opus` is Ogg Opus; `pcm` is s16le; `mulaw` and `alaw` are ITU-T G.711. All mono. */
export const AudioFormat = Schema.Literals(["mp3", "opus", "wav", "flac", "pcm", "mulaw", "alaw"])
export type AudioFormat = typeof AudioFormat.Type

interface FormatFacts {
  readonly contentType: (sampleRate: number) => string
  readonly extension: string
  readonly sampleRates: ReadonlyArray<SampleRate>
  /** Used when the caller names no rate; `"source"` keeps the voice's own. */
  readonly defaultRate: SampleRate | "source"
}

const everyRate = SampleRate.literals

/**
 * What each format can carry.
 *
 * Opus codes at 8, 12, 16, 24 and 48 kHz only (RFC 6716 §2). G.711 is defined at 8 kHz (ITU-T G.711); 16 kHz is in use
 * in wideband telephony and fits the same companding. `audio/L16` is big-endian (RFC 3551), so PCM goes as
 * `audio/pcm` with its parameters spelled out.
 */
export const formats: Record<AudioFormat, FormatFacts> = {
  mp3: { contentType: () => "audio/mpeg", extension: "mp3", sampleRates: everyRate, defaultRate: 24000 },
  opus: {
    contentType: () => "audio/ogg; codecs=opus",
    extension: "ogg",
    sampleRates: [8000, 16000, 24000, 48000],
    defaultRate: 48000
  },
  wav: { contentType: () => "audio/wav", extension: "wav", sampleRates: everyRate, defaultRate: "source" },
  flac: { contentType: () => "audio/flac", extension: "flac", sampleRates: everyRate, defaultRate: "source" },
  pcm: {
    contentType: (rate) => `audio/pcm; rate=${rate}; encoding=signed-int; bits=16; channels=1; endian=little`,
    extension: "pcm",
    sampleRates: everyRate,
    defaultRate: "source"
  },
  mulaw: {
    contentType: (rate) => `audio/basic; rate=${rate}`,
    extension: "ulaw",
    sampleRates: [8000, 16000],
    defaultRate: 8000
  },
  alaw: {
    contentType: (rate) => `audio/x-alaw-basic; rate=${rate}`,
    extension: "alaw",
    sampleRates: [8000, 16000],
    defaultRate: 8000
  }
}

/** Bytes of one s16le mono sample. */
export const bytesPerSample = 2

export const millisOfBytes = (bytes: number, sampleRate: number): number =>
  Math.round((bytes / bytesPerSample / sampleRate) * 1000)
