import { describe, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Schema, Stream } from "effect"
import assert from "node:assert/strict"
import { formats } from "../../src/domain/AudioFormat.ts"
import type { PcmChunk } from "../../src/domain/PcmChunk.ts"
import { AudioEncoder } from "../../src/services/AudioEncoder.ts"
import { EncoderThreads } from "../../src/services/AudioEncoder/EncoderThreads.ts"
import { decode, mp3DelaySamples } from "./AudioEncoder/decode.ts"
import { readOgg } from "./AudioEncoder/readOgg.ts"
import { encoded, encodedSoFar, hardCases, type Options, speech } from "./AudioEncoder/speech.ts"
import { pcmOf, snrDb, tone } from "./AudioEncoder/Tone.ts"

const Encoder = AudioEncoder.layerNoDeps.pipe(Layer.provideMerge(EncoderThreads.layer({ workers: 2 })))

const formatNames = ["mp3", "opus", "wav", "flac", "pcm", "mulaw", "alaw"] as const

const everyCase: ReadonlyArray<Options> = formatNames.flatMap((format) =>
  formats[format].sampleRates.flatMap((targetRate) =>
    [16000, 22050, 24000].map((sourceRate) => ({ format, sourceRate, targetRate }))
  )
)

/**
 * The least SNR of what is decoded, dB, some way below what is measured. Above 16 kHz Opus codes speech in two bands,
 * the lower a fraction of a sample early: 28 dB where it is aligned, 14 dB here.
 */
const snrMin = { pcm: 80, wav: 80, flac: 80, mulaw: 35, alaw: 35, mp3: 35, opus: 12 }

/** What a format does to the level: LAME takes 5 % off. */
const gain = (format: Options["format"]) => (format === "mp3" ? 0.95 : 1)

/** Lengths of chunks in samples; they repeat. */
const Cuts = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2000 })))

layer(Encoder)("AudioEncoder", (it) => {
  describe.each(everyCase)("$format $sourceRate → $targetRate Hz", ({ format, sourceRate, targetRate }) => {
    it.effect("is heard as it was spoken, for as long", () =>
      Effect.gen(function*() {
        // No whole number of any format's frames.
        const samples = Math.round(sourceRate * 0.7) + 12
        const seconds = samples / sourceRate
        const spoken = pcmOf(tone(sourceRate, samples, seconds))
        const file = yield* encoded({ format, sourceRate, targetRate }, speech(spoken))
        const heard = yield* Effect.promise(() => decode(format, targetRate, file))

        const expected = Math.round((samples * targetRate) / sourceRate)
        const delay = format === "mp3" ? mp3DelaySamples : 0
        // MP3 has whole frames only.
        const spare = format === "mp3" ? 2 * (targetRate > 24_000 ? 1152 : 576) : 0
        const excess = heard.length - delay - expected
        assert.ok(excess >= 0 && excess <= spare, `${excess} samples too many`)

        const snr = snrDb(tone(targetRate, expected, seconds), heard.subarray(delay), 1 / 32767 / gain(format))
        assert.ok(snr > snrMin[format], `${snr} dB`)
        if (sourceRate === targetRate && snrMin[format] === 80) assert.deepEqual(pcmBytes(heard), spoken)
      }))
  })

  describe.each(hardCases)("$format $sourceRate → $targetRate Hz", (options) => {
    const { format, sourceRate, targetRate } = options
    const spoken = pcmOf(tone(sourceRate, sourceRate, 1))

    it.effect("streams: of a second of speech most can be heard before the speech ends", () =>
      Effect.gen(function*() {
        const { bytes, interrupt } = yield* encodedSoFar(options, spoken)
        const heard = yield* Effect.promise(() => decode(format, targetRate, bytes))
        assert.ok(heard.length > 0.85 * targetRate, `${heard.length / targetRate} s`)
        yield* interrupt
      }))

    const short = spoken.subarray(0, 2 * 3001)
    it.effect.prop("gives the same bytes however the speech is cut", [Cuts], ([cuts]) =>
      Effect.gen(function*() {
        const whole = yield* encoded(options, speech(short, [short.length]))
        assert.deepEqual(yield* encoded(options, speech(short, cuts)), whole)
        const together = Stream.rechunk(speech(short, cuts), 7)
        assert.deepEqual(yield* encoded(options, together), whole)
      }), { arbitrary: { runs: 8 } })

    it.effect("gives the same bytes for speech in single samples", () =>
      Effect.gen(function*() {
        const shorter = short.subarray(0, 2 * 1203)
        const whole = yield* encoded(options, speech(shorter, [shorter.length]))
        assert.deepEqual(yield* encoded(options, speech(shorter, [1])), whole)
      }))

    it.effect("makes a whole file of no speech at all", () =>
      Effect.gen(function*() {
        const file = yield* encoded(options, Stream.empty)
        if (format === "mp3") return assert.ok(file.length > 0)
        assert.equal((yield* Effect.promise(() => decode(format, targetRate, file))).length, 0)
      }))

    it.effect("fails as the speech fails, with nothing sent if it failed before the first sound", () =>
      Effect.gen(function*() {
        const encoder = yield* AudioEncoder
        const parts: Array<Uint8Array> = []
        const fail = (input: Stream.Stream<PcmChunk>) =>
          Stream.concat(input, Stream.fail("broken" as const)).pipe(
            encoder.encode(options),
            Stream.runForEach((bytes) => Effect.sync(() => parts.push(bytes))),
            Effect.flip
          )
        assert.equal(yield* fail(Stream.make({ pcm: new Uint8Array(0), words: [] })), "broken")
        assert.equal(parts.length, 0)
        assert.equal(yield* fail(Stream.make({ pcm: short, words: [] })), "broken")
        assert.ok(parts.length > 0)
        assert.equal(yield* encoder.active, 0)
      }))

    it.effect("holds the speech back while nobody listens", () =>
      Effect.gen(function*() {
        const encoder = yield* AudioEncoder
        let pulled = 0
        yield* Stream.range(1, 1000).pipe(
          Stream.rechunk(1),
          Stream.map(() => ({ pcm: short, words: [] })),
          Stream.tap(() => Effect.sync(() => pulled++)),
          encoder.encode(options),
          Stream.take(2),
          Stream.runDrain
        )
        assert.ok(pulled <= 3, `${pulled} chunks pulled`)
      }))
  })

  it.effect("puts Opus on pages of one packet for half a second, then of five, and ends the stream", () =>
    Effect.gen(function*() {
      const options = { format: "opus", sourceRate: 24000, targetRate: 24000 } as const
      const ogg = readOgg(yield* encoded(options, speech(pcmOf(tone(24000, 24000, 1)))))
      assert.deepEqual(ogg.packetsOnPages, [...Array.from({ length: 25 }, () => 1), 5, 5, 5, 5, 5, 1])
      assert.deepEqual(
        { ended: ogg.ended, sampleRate: ogg.sampleRate, samples: ogg.granule - ogg.preSkip },
        { ended: true, sampleRate: 24000, samples: 48000 }
      )
      assert.equal(ogg.preSkip, 312)
    }))

  it.effect("codes Opus at the speech's own rate and declares the asked one", () =>
    Effect.gen(function*() {
      const pcm = pcmOf(tone(24000, 24000, 1))
      const asked = readOgg(yield* encoded({ format: "opus", sourceRate: 24000, targetRate: 48000 }, speech(pcm)))
      const own = readOgg(yield* encoded({ format: "opus", sourceRate: 24000, targetRate: 24000 }, speech(pcm)))
      assert.deepEqual(asked.packets, own.packets)
      assert.deepEqual([asked.sampleRate, own.sampleRate], [48000, 24000])
    }))

  it.effect("keeps encodings that run side by side apart, within a thread and between threads", () =>
    Effect.gen(function*() {
      const rates = [8000, 16000, 24000, 48000] as const
      const kinds = (["opus", "mp3", "flac"] as const).flatMap((format) =>
        rates.map((targetRate) => ({ format, sourceRate: 24000, targetRate }))
      )
      const pcm = pcmOf(tone(24000, 12_000, 0.5))
      const alone = yield* Effect.forEach(kinds, (options) => encoded(options, speech(pcm)))
      const together = yield* Effect.forEach(kinds, (options) => encoded(options, speech(pcm)), {
        concurrency: "unbounded"
      })
      assert.deepEqual(together, alone)
    }))

  it.effect("passes PCM at its own rate through without a copy", () =>
    Effect.gen(function*() {
      const encoder = yield* AudioEncoder
      const pcm = pcmOf(tone(24000, 960, 1))
      for (const format of ["pcm", "wav"] as const) {
        const out = yield* speech(pcm).pipe(
          encoder.encode({ format, sourceRate: 24000, targetRate: 24000 }),
          Stream.runCollect
        )
        assert.ok(out.slice(-2).every((bytes) => bytes.buffer === pcm.buffer))
      }
    }))

  it.effect("frees every encoder when 200 encodings are interrupted half-way", () =>
    Effect.gen(function*() {
      const encoder = yield* AudioEncoder
      const threads = yield* EncoderThreads
      const pcm = pcmOf(tone(24000, 4800, 1))
      const kinds = [
        { format: "mp3", sourceRate: 24000, targetRate: 24000 },
        { format: "opus", sourceRate: 24000, targetRate: 48000 },
        { format: "flac", sourceRate: 24000, targetRate: 24000 },
        { format: "wav", sourceRate: 24000, targetRate: 16000 },
        { format: "pcm", sourceRate: 24000, targetRate: 24000 }
      ] as const
      const running = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => kinds[i % kinds.length]!),
        (options) => encodedSoFar(options, pcm),
        { concurrency: "unbounded" }
      )
      assert.equal(yield* encoder.active, 200)
      assert.deepEqual(yield* threads.held, [80, 80], "pass-through needs no thread, the rest is shared evenly")
      yield* Fiber.interruptAll(running.map(({ fiber }) => fiber))
      assert.equal(yield* encoder.active, 0)
      assert.deepEqual(yield* threads.held, [0, 0])
    }))

  it.effect("frees the encoder of a reader that stops, ends or breaks", () =>
    Effect.gen(function*() {
      const encoder = yield* AudioEncoder
      const threads = yield* EncoderThreads
      const output = speech(pcmOf(tone(24000, 24000, 1))).pipe(
        encoder.encode({ format: "mp3", sourceRate: 24000, targetRate: 24000 })
      )
      yield* Stream.runDrain(Stream.take(output, 1))
      yield* Stream.runDrain(output)
      const broken = yield* Effect.exit(Stream.runForEach(output, () => Effect.fail("gone")))
      assert.ok(Exit.isFailure(broken) && !Cause.hasDies(broken.cause))
      assert.equal(yield* encoder.active, 0)
      assert.deepEqual(yield* threads.held, [0, 0])
    }))
})

const pcmBytes = (samples: Int16Array) => new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
