/** What the audio of a live session may be, and what one binary frame of it holds. */
import { Effect, Schema } from "effect"
import { SampleRate } from "../AudioFormat.ts"

/**
 * `opus`: raw packets of 20 ms (RFC 6716, no container), one a frame. `pcm`: s16le. `mulaw`, `alaw`: ITU-T G.711. All
 * mono. But for Opus a frame holds any number of whole samples.
 */
export const StreamCodec = Schema.Literals(["opus", "pcm", "mulaw", "alaw"])
export type StreamCodec = typeof StreamCodec.Type

/** Hz that each codec takes; the first is used when none is asked for, but for PCM, which keeps the engine's. */
export const streamRates: Record<StreamCodec, ReadonlyArray<SampleRate>> = {
  opus: [48000],
  pcm: SampleRate.literals,
  mulaw: [8000],
  alaw: [8000]
}

/** ms of one Opus packet. */
export const packetMillis = 20

/** Used for PCM when nobody says a rate and no engine has spoken yet; Hz. */
export const pcmRateDefault: SampleRate = 24000

/** What `open` asks for. */
export const OutputRequest = Schema.Struct({
  codec: StreamCodec.pipe(Schema.withDecodingDefaultKey(Effect.succeed("opus" as const))),
  sampleRate: Schema.optionalKey(SampleRate)
}).check(
  Schema.makeFilter(({ codec, sampleRate }) =>
    sampleRate === undefined || streamRates[codec].includes(sampleRate)
      ? undefined
      : { path: ["sample_rate"], issue: `${codec} takes ${streamRates[codec].join(", ")} Hz` }
  )
).pipe(Schema.encodeKeys({ sampleRate: "sample_rate" }))
export type OutputRequest = typeof OutputRequest.Type

/** What the session will send. */
export const StreamOutput = Schema.Struct({
  codec: StreamCodec,
  sampleRate: SampleRate,
  /** Length of an Opus packet; null for codecs whose frames hold any number of samples. */
  frameMs: Schema.NullOr(Schema.Natural),
  channels: Schema.Literal(1)
}).pipe(Schema.encodeKeys({ sampleRate: "sample_rate", frameMs: "frame_ms" }))
export type StreamOutput = typeof StreamOutput.Type

/** `engineRate`: Hz that the engine is expected to speak at, if known. */
export const outputOf = ({ codec, sampleRate }: OutputRequest, engineRate: number | undefined): StreamOutput => ({
  codec,
  sampleRate: sampleRate ??
    (codec === "pcm" ? streamRates.pcm.find((rate) => rate === engineRate) ?? pcmRateDefault : streamRates[codec][0]!),
  frameMs: codec === "opus" ? packetMillis : null,
  channels: 1
})

/** ms of audio in a frame. */
export const millisOfFrame = (output: Pick<StreamOutput, "codec" | "sampleRate">, bytes: number): number => {
  switch (output.codec) {
    case "opus":
      return packetMillis
    case "pcm":
      return (bytes / 2 / output.sampleRate) * 1000
    default:
      return (bytes / output.sampleRate) * 1000
  }
}
