/**
 * What comes over a socket is what the engine said, sentence by sentence, and nothing else: held against an engine of the
 * tests' own that is given the same segments.
 */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { make as makeSegmenter } from "../../../src/domain/Segmenter.ts"
import type { Pause } from "../../../src/domain/Segmenter.ts"
import type { Engine } from "../../../src/engine/Engine.ts"
import * as Flite from "../../../src/engine/Flite.ts"
import { preset, say } from "../../engine/fit/spoken.ts"
import { TestServer, until } from "../../layers/TestServer.ts"
import { decodePackets } from "./opus.ts"
import { allFreed, bearer, connected } from "./Session.ts"

const text =
  "When all of this is over, we go home together. This is the second sentence, and it is longer. Is that so?" +
  "\n\nA new paragraph begins here. It ends soon."

/** Hz, of the engine. */
const rate = 16_000
const samplesOf = (ms: number) => (ms * rate) / 1000

class Reference extends Context.Service<Reference, Engine>()("test/Reference") {
  static readonly layer = Layer.effect(Reference, Flite.make({ workers: 1 }))
}

interface Part {
  readonly pause: Pause
  readonly samples: Int16Array
  /** What follows it, by the contract: the engine's own silence, or as long as a clause or a paragraph takes. */
  readonly silence: number
}

/** Index behind the last sample that is not zero. */
const soundEnd = (samples: Int16Array) => samples.findLastIndex((x) => x !== 0) + 1

const parts = Effect.gen(function*() {
  const engine = yield* Reference
  const segmenter = makeSegmenter("en")
  const segments = [...segmenter.push(text), ...segmenter.flush()]
  return yield* Effect.forEach(
    segments,
    ({ pause, text }) =>
      Effect.map(say(engine, preset("slt"), text), ({ samples }): Part => {
        const end = soundEnd(samples)
        const own = samples.length - end
        const silence = pause === "sentence"
          ? own
          : pause === "paragraph"
          ? own + Math.max(0, Math.min(samplesOf(350), samplesOf(700) - own))
          : Math.min(own, samplesOf(120))
        return { pause, samples: samples.slice(0, end), silence }
      })
  )
})

const joined = (some: ReadonlyArray<Part>) => {
  const all = new Int16Array(some.reduce((sum, { samples, silence }) => sum + samples.length + silence, 0))
  let at = 0
  for (const { samples, silence } of some) {
    all.set(samples, at)
    at += samples.length + silence
  }
  return all
}

const spoken = Effect.fnUntraced(function*(output: object) {
  const { key } = yield* TestServer
  const token = yield* key("acme", "ada", "tenant_admin")
  const client = yield* connected({ headers: bearer(token) })
  client.say({ type: "open", voice_id: "vox_flite_slt", output })
  for (const delta of text.match(/.{1,7}/gsu)!) client.say({ type: "text", delta })
  client.say({ type: "flush" }, { type: "close" })
  yield* until(Effect.sync(() => client.closed), (closed) => closed)
  assert.equal(client.code, 1000, JSON.stringify(client.texts.at(-1)))
  return client
})

const pcmOf = (bytes: Buffer) => new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))

const step = (samples: Int16Array, from: number, to: number) => {
  let largest = 0
  for (let i = Math.max(from, 1); i < Math.min(to, samples.length); i++) {
    largest = Math.max(largest, Math.abs(samples[i]! - samples[i - 1]!))
  }
  return largest
}

/** Samples of silence around a place. */
const gapAt = (samples: Int16Array, at: number) => {
  let from = at
  let to = at
  while (from > 0 && samples[from - 1] === 0) from--
  while (to < samples.length && samples[to] === 0) to++
  return to - from
}

const Server = TestServer.layer({ SCAISPEAK_NODES: "", SCAISPEAK_EMBEDDED_NODE: "true" })

layer(Layer.merge(Server, Reference.layer), { excludeTestServices: true, timeout: 60_000 })("a live voice", (it) => {
  it.effect(
    "is the engine's own in PCM, sample for sample: no sample lost, doubled or changed, no click, no gap",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const expected = yield* parts
        assert.deepEqual(expected.map(({ pause }) => pause), [
          "clause",
          "sentence",
          "sentence",
          "paragraph",
          "sentence",
          "sentence"
        ])
        const client = yield* spoken({ codec: "pcm", sample_rate: rate })
        assert.equal(client.of("segment").length, expected.length)
        const heard = pcmOf(client.heard())
        const whole = joined(expected)
        assert.equal(heard.length, whole.length)
        assert.equal(Buffer.compare(client.heard(), Buffer.from(whole.buffer)), 0)

        let seam = 0
        for (const [i, { pause, samples, silence }] of expected.slice(0, -1).entries()) {
          seam += samples.length + silence
          const next = expected[i + 1]!
          const lead = next.samples.findIndex((x) => x !== 0)
          // 10 ms on either side, inside the two parts.
          const neighbours = Math.max(
            step(heard, seam - silence - samplesOf(10), seam - silence),
            step(heard, seam + lead + 1, seam + lead + samplesOf(10))
          )
          assert.ok(step(heard, seam - silence, seam + lead + 1) <= neighbours, `a click behind part ${i}`)
          const gapMs = gapAt(heard, seam) / (rate / 1000)
          const intendedMs = (silence + lead) / (rate / 1000)
          assert.ok(gapMs <= intendedMs + 1, `${gapMs} ms of silence behind part ${i}, ${intendedMs} are meant`)
          const limitMs = { clause: 120, sentence: 350, paragraph: 700 }[pause] + 50
          assert.ok(gapMs <= limitMs, `${gapMs} ms of silence behind a ${pause}`)
        }
        yield* allFreed
      })),
    60_000
  )

  it.effect(
    "is the same in Opus, at one and the same delay from the first word to the last",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const opus = yield* spoken({ codec: "opus" })
        const pcm = yield* spoken({ codec: "pcm", sample_rate: 48_000 })
        const decoded = decodePackets(opus.audio)
        const expected = pcmOf(pcm.heard())
        const millis = joined(yield* parts).length / (rate / 1000)
        assert.ok(Math.abs(expected.length / 48 - millis) < 1, `${expected.length / 48} ms of ${millis}`)
        const delays: Array<number> = []
        for (let at = 0; at + windowLength <= expected.length; at += windowLength) {
          const window = expected.subarray(at, at + windowLength)
          if (powerOf(window) < powerMin) continue
          const { correlation, delay } = alignment(decoded, window, at)
          assert.ok(correlation > 0.8, `${(at / 48_000).toFixed(2)} s sounds different: ${correlation.toFixed(2)}`)
          delays.push(delay)
        }
        assert.ok(delays.length > 20)
        // Half a sample of the engine's is what a codec may move a pitch pulse by; one that is lost or doubled moves the rest by three.
        const [first, last] = [median(delays.slice(0, 9)), median(delays.slice(-9))]
        assert.equal(first, last, delays.join(" "))
        assert.ok(delays.every((delay) => Math.abs(delay - first) <= 3), delays.join(" "))
        // And all of it is there: the last packet covers the last sample.
        assert.ok(
          decoded.length >= expected.length + delays[0]! && decoded.length < expected.length + 2 * 960 + delays[0]!
        )
        yield* allFreed
      })),
    60_000
  )
})

/** 100 ms at 48 kHz. */
const windowLength = 4800
/** Of speech, and not of its ends. */
const powerMin = 1e5
/** Codec delay that is looked for, samples. */
const delayMax = 320

const median = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!

const powerOf = (samples: Int16Array) => samples.reduce((sum, x) => sum + x * x, 0) / samples.length

/** Where the window lies best in what was decoded, behind its own place. */
const alignment = (decoded: Int16Array, window: Int16Array, at: number) => {
  const power = powerOf(window) * window.length
  let best = { correlation: -1, delay: -1 }
  for (let delay = 0; delay <= delayMax; delay++) {
    let product = 0
    let energy = 0
    for (let i = 0; i < window.length; i += 2) {
      const x = decoded[at + delay + i] ?? 0
      product += x * window[i]!
      energy += x * x
    }
    const correlation = (2 * product) / Math.sqrt(2 * energy * power)
    if (correlation > best.correlation) best = { correlation, delay }
  }
  return best
}
