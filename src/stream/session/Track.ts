/**
 * The audio of an epoch as one stream of samples: what segments say goes in, joined, and comes out in the session's codec.
 *
 * One encoder from the first segment to the last, but for a backend that speaks at another rate, which gets its own.
 */
import { Effect, Exit, Scope } from "effect"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import type { StreamOutput } from "../../domain/stream/StreamOutput.ts"
import type { AudioEncoder, LiveEncoding } from "../../services/AudioEncoder.ts"
import type { Outbox } from "./Outbox.ts"

/**
 * PCM that is encoded at once: small where a listener waits for it, and never more than a millisecond of a thread's time,
 * since others wait there for their first. Bytes.
 */
const firstPartBytes = 2 * 1024
const partBytesMax = 8 * 1024

export interface TrackOptions {
  readonly encoder: AudioEncoder["Service"]
  readonly output: StreamOutput
  readonly outbox: Outbox
  /** Whether what is made may still go out. */
  readonly isLive: () => boolean
  /** Waits while too much is unsent. */
  readonly room: Effect.Effect<void>
}

export interface Track {
  /** Segments at this rate (Hz) follow. Gives the stream time of their first sample, ms. */
  readonly source: (sampleRate: number) => Effect.Effect<number, never, Scope.Scope>
  /** s16le, whole samples. */
  readonly push: (pcm: Uint8Array) => Effect.Effect<void>
  /** Brings out everything that was pushed. */
  readonly settle: Effect.Effect<void>
  /** Stream time of the next sample that is pushed, ms. */
  readonly atMs: () => number
}

interface Source {
  readonly sampleRate: number
  readonly encoding: LiveEncoding
  readonly scope: Scope.Closeable
  /** Stream time of its first sample since it was settled, ms, and how many have been pushed since. */
  startMs: number
  samples: number
}

export const makeTrack = ({ encoder, isLive, outbox, output, room }: TrackOptions): Track => {
  let source: Source | undefined
  let partBytes = firstPartBytes
  const put = (pieces: ReadonlyArray<Uint8Array>) => {
    if (pieces.length > 0 && isLive()) outbox.pushAudio(pieces)
  }
  const atMs = () =>
    source === undefined ? outbox.pushedMs : source.startMs + (source.samples / source.sampleRate) * 1000

  const settle = Effect.suspend(() => {
    const current = source
    if (current === undefined || current.samples === 0) return Effect.void
    return Effect.map(current.encoding.settle, (pieces) => {
      put(pieces)
      current.startMs = outbox.pushedMs
      current.samples = 0
      partBytes = firstPartBytes
    })
  })

  const pushParts = Effect.fnUntraced(function*({ encoding }: Source, pcm: Uint8Array) {
    for (let offset = 0; offset < pcm.length;) {
      const part = pcm.subarray(offset, offset + partBytes)
      put(yield* encoding.push(part))
      source!.samples += part.length / bytesPerSample
      offset += part.length
      partBytes = Math.min(partBytes * 2, partBytesMax)
      yield* room
    }
  })
  const push = (pcm: Uint8Array) =>
    Effect.suspend(() => {
      const current = source!
      if (current.encoding.now === undefined) return pushParts(current, pcm)
      // In pieces all the same: one is the least that a barge-in cannot call back.
      const made: Array<Uint8Array> = []
      for (let offset = 0; offset < pcm.length; offset += partBytesMax) {
        made.push(...current.encoding.now(pcm.subarray(offset, offset + partBytesMax)))
      }
      put(made)
      current.samples += pcm.length / bytesPerSample
      return room
    })

  return {
    atMs,
    settle,
    push,
    source: Effect.fnUntraced(function*(sampleRate) {
      if (source?.sampleRate === sampleRate) return atMs()
      yield* settle
      if (source !== undefined) yield* Scope.close(source.scope, Exit.void)
      const scope = yield* Scope.fork(yield* Effect.scope)
      const encoding = yield* encoder.live({
        codec: output.codec,
        sourceRate: sampleRate,
        targetRate: output.sampleRate
      })
        .pipe(Scope.provide(scope))
      source = { sampleRate, encoding, scope, startMs: outbox.pushedMs, samples: 0 }
      return source.startMs
    })
  }
}
