/**
 * What live sessions cost beyond the engine's work and the transport's.
 *
 * 1. An Opus packet of 20 ms, coded on the event loop; and the first 64 ms of a sentence, coded there and in a thread.
 * 2. From the delta that completes a sentence to its first audio, with a thousand sessions that each speak a sentence
 *    every two seconds and an engine that answers at once: what this process adds. Opus in threads, and PCM.
 */
import { Cause, Effect, Exit, Layer, Scope } from "effect"
import { RequestId } from "../src/domain/Ids.ts"
import { decodeClientFrame } from "../src/domain/stream/ClientFrame.ts"
import type { LiveFrame, Open } from "../src/domain/stream/ClientFrame.ts"
import { AudioEncoder } from "../src/services/AudioEncoder.ts"
import { openEncoding } from "../src/services/AudioEncoder/Encoding.ts"
import { StreamService } from "../src/stream/StreamService.ts"
import * as ScriptedSynthesis from "../test/layers/ScriptedSynthesis.ts"
import { caller } from "../test/stream/Client.ts"

const sessions = Number(process.argv[2] ?? 1000)
const seconds = 16
/** A sentence of 2 s in so many ms: an agent that speaks a quarter of the time. */
const everyMillis = 8000
const sourceRate = 16000

const at = (values: ReadonlyArray<number>, share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN
const shown = (values: ReadonlyArray<number>) =>
  `p50 ${at(values, 0.5).toFixed(2)}, p99 ${at(values, 0.99).toFixed(2)}, worst ${Math.max(...values).toFixed(2)} ms`

/** Harmonics under a syllable-like swell: about as hard to code as a voice. */
const speech = (sampleRate: number, millis: number) =>
  new Uint8Array(
    Int16Array.from({ length: (sampleRate * millis) / 1000 }, (_, n) => {
      const t = n / sampleRate
      let value = 0
      for (let k = 1; k <= 12; k++) value += (0.2 / k) * Math.sin(2 * Math.PI * 120 * k * t)
      return 32000 * value * Math.sin(Math.PI * 3 * t) ** 2
    }).buffer
  )

const codec = Effect.gen(function*() {
  for (const rate of [16000, 24000, 48000]) {
    const micros = (["opus", "opus-packets"] as const).map((format) => {
      const encoding = openEncoding({ format, sourceRate: rate, targetRate: 48000 })
      const packet = speech(rate, 20)
      const times = Array.from({ length: 2000 }, () => {
        const begin = performance.now()
        encoding.push(packet)
        return 1000 * (performance.now() - begin)
      })
      encoding.free()
      return at(times, 0.5)
    })
    console.log(`  ${rate} Hz: ${micros[1]!.toFixed(0)} us a packet; in a file ${micros[0]!.toFixed(0)} us`)
  }
  const first = speech(sourceRate, 64)
  const inline = openEncoding({ format: "opus-packets", sourceRate, targetRate: 48000 })
  const threaded = yield* (yield* AudioEncoder).live({ codec: "opus", sourceRate, targetRate: 48000 })
  const times = { inline: Array.of<number>(), thread: Array.of<number>() }
  for (let i = 0; i < 500; i++) {
    let begin = performance.now()
    inline.push(first)
    times.inline.push(performance.now() - begin)
    begin = performance.now()
    yield* threaded.push(first)
    times.thread.push(performance.now() - begin)
  }
  console.log(`  64 ms of speech on the event loop: ${shown(times.inline)}`)
  console.log(`  64 ms of speech in a thread:       ${shown(times.thread)}`)
})

const latency = Effect.fnUntraced(function*(codec: "opus" | "pcm") {
  const service = yield* StreamService
  const frame = decodeClientFrame({
    type: "open",
    voice_id: "vox_bench",
    output: codec === "pcm" ? { codec, sample_rate: sourceRate } : { codec }
  })
  if (frame._tag === "Failure") throw frame.failure
  const open = frame.success as Open
  const waits: Array<number> = []
  const cpu = process.cpuUsage()
  yield* Effect.forEach(
    Array.from({ length: sessions }, (_, i) => i),
    Effect.fnUntraced(function*(i) {
      const scope = yield* Scope.make()
      const session = yield* service.open(caller, RequestId.make(`req_${i}`), open).pipe(Scope.provide(scope))
      let sentAt = NaN
      yield* Effect.forkIn(
        Effect.gen(function*() {
          while (true) {
            const items = yield* session.take
            if (Number.isNaN(sentAt) || !items.some(({ _tag }) => _tag === "audio")) continue
            waits.push(performance.now() - sentAt)
            sentAt = NaN
          }
        }).pipe(Effect.catchIf(Cause.isDone, () => Effect.void)),
        scope
      )
      const send = (frame: LiveFrame) => Effect.sync(() => session.receive(frame))
      yield* Effect.sleep((i / sessions) * everyMillis)
      for (let n = 0; n < (seconds * 1000) / everyMillis; n++) {
        yield* send({ type: "text", delta: "This is a sentence of the usual" })
        yield* Effect.sleep(100)
        sentAt = performance.now()
        yield* send({ type: "text", delta: " length. " })
        yield* send({ type: "flush" })
        yield* Effect.sleep(everyMillis - 100)
      }
      yield* send({ type: "close", mode: "drain" })
      yield* Scope.close(scope, Exit.void)
    }),
    { concurrency: "unbounded", discard: true }
  )
  const { system, user } = process.cpuUsage(cpu)
  console.log(
    `  ${codec.padEnd(5)} ${shown(waits)}; ${waits.length} sentences, ${
      ((user + system) / 1000 / waits.length).toFixed(2)
    } ms of CPU each`
  )
})

/** Two seconds of speech, whatever is asked. */
const engine = (() => {
  const pcm = speech(sourceRate, 2000)
  return ScriptedSynthesis.layer(() => ({ pieces: [pcm] }), sourceRate)
})()

const options = {
  stream: { leadMs: 5000, writeMs: 30_000, idleMs: 60_000, sessionMs: 3_600_000, resumeMs: 0 },
  drainMs: 1000
}

await Effect.runPromise(
  Effect.gen(function*() {
    console.log("Opus:")
    yield* codec
    console.log(`From the last delta to the first audio, ${sessions} sessions:`)
    yield* latency("pcm")
    yield* latency("opus")
  }).pipe(
    Effect.scoped,
    Effect.provide(
      StreamService.layer(options).pipe(Layer.provide(engine), Layer.provideMerge(AudioEncoder.layer({ workers: 2 })))
    )
  )
)
