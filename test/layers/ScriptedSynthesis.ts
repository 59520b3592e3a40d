/**
 * Sessions without a service behind them: what becomes of a text is the test's to say, and runs on the test's clock. Each
 * character is eight samples of its code, so that audio says where it came from.
 */
import { Effect, Layer, Stream } from "effect"
import type { Backend } from "../../src/domain/BackendPolicy.ts"
import { SynthesisId } from "../../src/domain/Ids.ts"
import { AudioEncoder } from "../../src/services/AudioEncoder.ts"
import { EncoderThreads } from "../../src/services/AudioEncoder/EncoderThreads.ts"
import type { DispatchRefusal } from "../../src/services/Dispatch.ts"
import { Synthesis } from "../../src/services/Synthesis.ts"
import { voice } from "./voices.ts"

/** Hz; a character takes 1 ms. */
export const sampleRate = 8000
const perCharacter = 8

export const spoken = (text: string): Buffer => {
  const samples = new Int16Array(text.length * perCharacter)
  for (let i = 0; i < text.length; i++) samples.fill(text.charCodeAt(i), i * perCharacter, (i + 1) * perCharacter)
  return Buffer.from(samples.buffer)
}

/** What is open now: calls of the engine, and sessions. */
export const left = { calls: 0, sessions: 0 }

export interface Script {
  /** One for each piece, where it is another that goes on. */
  readonly backend?: Backend | readonly [Backend, ...Array<Backend>]
  readonly pieces?: ReadonlyArray<Uint8Array>
  /** Until the first sound. */
  readonly before?: Effect.Effect<void, DispatchRefusal>
  readonly beforePiece?: Effect.Effect<void, DispatchRefusal>
}

/** `rate`: Hz of the pieces. */
export const layer = (script: (text: string) => Script, rate = sampleRate) =>
  Layer.succeed(
    Synthesis,
    Synthesis.of({
      speak: () => Effect.die("sessions only"),
      admit: () => Effect.die("sessions only"),
      permit: () => Effect.void,
      open: () =>
        Effect.gen(function*() {
          yield* Effect.acquireRelease(Effect.sync(() => left.sessions++), () => Effect.sync(() => left.sessions--))
          return {
            voice: voice(),
            language: "en",
            backend: "A" as const,
            sampleRate: () => rate,
            onStop: () => {},
            ended: {},
            say: (text) =>
              Effect.gen(function*() {
                yield* Effect.acquireRelease(Effect.sync(() => left.calls++), () => Effect.sync(() => left.calls--))
                const { backend = "A", before = Effect.void, beforePiece = Effect.void, pieces = [spoken(text)] } =
                  script(
                    text
                  )
                const backends = typeof backend === "string" ? pieces.map(() => backend) : backend
                let now = backends[0]!
                yield* before
                return {
                  backend: () => now,
                  plan: {
                    synthesisId: SynthesisId.make("syn_test"),
                    voice: voice(),
                    backend: now,
                    nodeId: null,
                    engine: "test",
                    model: "test",
                    sampleRate: rate,
                    characters: text.length,
                    ignoredParams: [],
                    reasons: []
                  },
                  audio: Stream.fromIterable(pieces.entries(), { chunkSize: 1 }).pipe(
                    Stream.mapEffect(([index, piece]) =>
                      Effect.map(beforePiece, () => {
                        now = backends[index]!
                        return { pcm: new Uint8Array(piece), words: [] }
                      })
                    )
                  )
                }
              })
          }
        })
    })
  )

/** PCM at its own rate. */
export const encoders = AudioEncoder.layerNoDeps.pipe(
  Layer.provide(Layer.succeed(EncoderThreads, { open: () => Effect.die("PCM needs none"), held: Effect.succeed([]) }))
)
