/**
 * What encoding costs.
 *
 * 1. Each format over a minute of 24 kHz speech in chunks of 100 ms: time to the first bytes, real-time factor (seconds
 *    of speech a second), CPU time of the whole process for 10 s of speech, and that as a ratio to PCM passed through in
 *    the same run. Medians.
 * 2. How long the event loop is held while 16 MP3 encodings run, against the same loop at rest.
 */
import { Effect, Stream } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { AudioEncoder } from "../src/services/AudioEncoder.ts"
import type { EncodingOptions } from "../src/services/AudioEncoder/Encoding.ts"

const workers = 2
const sourceRate = 24000
const seconds = 60
const chunkBytes = (sourceRate * 2) / 10
const rounds = 5
const atOnce = 16

/** Harmonics under a syllable-like swell, and a little noise: about as hard to code as a voice. */
const speech = new Uint8Array(
  Int16Array.from({ length: sourceRate * seconds }, (_, n) => {
    const t = n / sourceRate
    const pitch = 120 + 20 * Math.sin(2 * Math.PI * 0.7 * t)
    let value = 0.02 * (Math.random() - 0.5)
    for (let k = 1; k <= 12; k++) value += (0.2 / k) * Math.sin(2 * Math.PI * pitch * k * t)
    return 32000 * value * Math.sin(Math.PI * 3 * t) ** 2
  }).buffer
)

const chunks = Array.from({ length: speech.length / chunkBytes }, (_, i) => ({
  pcm: speech.subarray(i * chunkBytes, (i + 1) * chunkBytes),
  words: []
}))

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

const encodeOnce = Effect.fnUntraced(function*(options: EncodingOptions) {
  const encoder = yield* AudioEncoder
  let first: number | undefined
  let bytes = 0
  const cpu = process.cpuUsage()
  const began = performance.now()
  yield* Stream.fromIterable(chunks, { chunkSize: 1 }).pipe(
    encoder.encode(options),
    Stream.runForEach((part) =>
      Effect.sync(() => {
        first ??= performance.now() - began
        bytes += part.length
      })
    )
  )
  const { system, user } = process.cpuUsage(cpu)
  return { first: first ?? NaN, millis: performance.now() - began, cpuMillis: (user + system) / 1000, bytes }
})

const cases: ReadonlyArray<EncodingOptions> = [
  { format: "pcm", sourceRate, targetRate: 24000 },
  { format: "wav", sourceRate, targetRate: 24000 },
  { format: "wav", sourceRate, targetRate: 16000 },
  { format: "wav", sourceRate, targetRate: 48000 },
  { format: "mp3", sourceRate, targetRate: 24000 },
  { format: "mp3", sourceRate, targetRate: 44100 },
  { format: "opus", sourceRate, targetRate: 24000 },
  { format: "opus", sourceRate, targetRate: 48000 },
  { format: "flac", sourceRate, targetRate: 24000 },
  { format: "mulaw", sourceRate, targetRate: 8000 },
  { format: "alaw", sourceRate, targetRate: 8000 }
]

const formats = Effect.gen(function*() {
  const results = cases.map((options) => ({ options, runs: Array.of<Effect.Success<ReturnType<typeof encodeOnce>>>() }))
  for (const { options } of results) yield* encodeOnce(options)
  for (let round = 0; round < rounds; round++) {
    for (const { options, runs } of results) runs.push(yield* encodeOnce(options))
  }
  const cpuOf = (runs: ReadonlyArray<{ readonly cpuMillis: number }>) =>
    median(runs.map((run) => run.cpuMillis)) / (seconds / 10)
  const passThrough = cpuOf(results[0]?.runs ?? [])
  console.log("format  Hz      first ms  real time  CPU ms / 10 s  of pcm  kbit/s")
  for (const { options, runs } of results) {
    const row = [
      options.format.padEnd(7),
      String(options.targetRate).padEnd(7),
      median(runs.map((run) => run.first)).toFixed(2).padStart(8),
      `x ${((1000 * seconds) / median(runs.map((run) => run.millis))).toFixed(0)}`.padStart(10),
      cpuOf(runs).toFixed(2).padStart(14),
      `x ${(cpuOf(runs) / passThrough).toFixed(0)}`.padStart(7),
      ((median(runs.map((run) => run.bytes)) * 8) / seconds / 1000).toFixed(0).padStart(7)
    ]
    console.log(row.join(" "))
  }
})

/** Late timers (p50, p99, worst, ms) and the share of time that the main thread worked, while `work` runs. */
const loopDelay = Effect.fnUntraced(function*<A, E, R>(work: Effect.Effect<A, E, R>) {
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  const before = performance.eventLoopUtilization()
  monitor.enable()
  yield* work
  monitor.disable()
  const { utilization } = performance.eventLoopUtilization(before)
  const delays = [monitor.percentile(50), monitor.percentile(99), monitor.max].map((nanos) => (nanos / 1e6).toFixed(2))
  return `${delays.join(" / ")}, ${(100 * utilization).toFixed(1)} % busy`
})

const blocking = Effect.gen(function*() {
  const mp3 = encodeOnce({ format: "mp3", sourceRate, targetRate: 24000 })
  const rest = yield* loopDelay(Effect.sleep("3 seconds"))
  const busy = yield* loopDelay(Effect.all(Array.from({ length: atOnce }, () => mp3), { concurrency: "unbounded" }))
  console.log(`Event loop delay p50 / p99 / worst, ms (1 ms is the probe's own timer), and main thread:`)
  console.log(`  at rest             ${rest}`)
  console.log(`  ${atOnce} MP3 encodings    ${busy}`)
})

await Effect.runPromise(
  Effect.andThen(formats, blocking).pipe(Effect.provide(AudioEncoder.layer({ workers })))
)
