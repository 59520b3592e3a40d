/**
 * What has been recorded so far: samples in memory, up to a length, and the level of each tenth of a second.
 *
 * Opus is decoded as it comes, in WebAssembly: a packet made to break its decoder breaks a sandbox, and its own recording.
 */
import { Effect } from "effect"
import { AudioUndecodable, InvalidRequest, PayloadTooLarge } from "../../domain/Failure.ts"
import type { Open } from "../../domain/RecorderFrame.ts"
import { makePacketDecoder } from "../../services/AudioDecoder/OpusPackets.ts"
import { wavHeader } from "../../services/AudioEncoder/Wav.ts"
import { makeLiveLevel } from "../../services/Preflight/LiveLevel.ts"

const levelMillis = 100
const opusRate = 48_000

export interface TakeLevel {
  readonly dbfs: number
  readonly voice_activity: boolean
  readonly elapsed_ms: number
}

export interface LiveTake {
  /** Takes a frame; answers with the levels that it completes. */
  readonly push: (
    frame: Uint8Array
  ) => Effect.Effect<ReadonlyArray<TakeLevel>, InvalidRequest | AudioUndecodable | PayloadTooLarge>
  /** All of it as a WAV file, in pieces. */
  readonly wav: () => ReadonlyArray<Uint8Array>
}

/** `durationMsMax`: longer is refused. */
export const makeTake = Effect.fnUntraced(function*({ codec, part, sample_rate }: Open, durationMsMax: number) {
  const sampleRate = codec === "opus" ? opusRate : sample_rate
  const samplesMax = Math.floor((durationMsMax / 1000) * sampleRate)
  const levelSamples = (sampleRate * levelMillis) / 1000
  const meter = makeLiveLevel(sampleRate)
  const opus = codec === "opus"
    ? yield* Effect.acquireRelease(Effect.sync(makePacketDecoder), ({ drop }) => Effect.sync(drop))
    : undefined
  const pieces: Array<Int16Array<ArrayBuffer>> = []
  let samples = 0
  let block = new Int16Array(levelSamples)
  let filled = 0

  const decoded = (frame: Uint8Array): Effect.Effect<Int16Array<ArrayBuffer>, InvalidRequest | AudioUndecodable> => {
    if (opus === undefined) {
      return frame.length % 2 === 0
        ? Effect.succeed(new Int16Array(Uint8Array.from(frame).buffer))
        : Effect.fail(InvalidRequest.field("frame", "is no whole number of samples"))
    }
    return Effect.try({
      try: () => opus.decode(frame),
      catch: () => new AudioUndecodable({ field: part, reason: "has a frame that is no Opus packet" })
    })
  }

  const push = Effect.fnUntraced(function*(frame: Uint8Array) {
    const pcm = yield* decoded(frame)
    if (samples + pcm.length > samplesMax) {
      return yield* new PayloadTooLarge({ field: part, reason: `is longer than ${durationMsMax} ms` })
    }
    pieces.push(pcm)
    const levels: Array<TakeLevel> = []
    for (let at = 0; at < pcm.length;) {
      const some = pcm.subarray(at, at + levelSamples - filled)
      block.set(some, filled)
      filled += some.length
      at += some.length
      samples += some.length
      if (filled < levelSamples) continue
      const { active, dbfs } = meter.push(block)
      levels.push({ dbfs, voice_activity: active, elapsed_ms: Math.round((samples * 1000) / sampleRate) })
      block = new Int16Array(levelSamples)
      filled = 0
    }
    return levels
  })

  return {
    push,
    wav: () => [
      wavHeader(sampleRate, samples * 2),
      ...pieces.map((piece) => new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength))
    ]
  } satisfies LiveTake
})
