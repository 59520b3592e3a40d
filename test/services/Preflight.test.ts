/** What is measured of a clip, against what is known of it: speech of engines and of recorded people. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import type { PreflightMetrics } from "../../src/domain/Preflight.ts"
import * as Flite from "../../src/engine/Flite.ts"
import type { DecodedClip } from "../../src/services/AudioDecoder.ts"
import { decodeWav } from "../../src/services/AudioDecoder/Wav.ts"
import { Preflight } from "../../src/services/Preflight.ts"
import { readSpeakers } from "../engine/fit/clips.ts"
import { preset, say } from "../engine/fit/spoken.ts"
import { harvardSentences } from "../recogniser/harvard.ts"
import { vadModel } from "../servers/Optional.ts"
import { wavOf } from "./ClipNormaliser/wav.ts"
import * as Clips from "./Preflight/clips.ts"

const rate = 16_000
const limits = { durationMsMin: 5000, durationMsMax: 25_000, voiceActivityMin: 0.4, peakDbfsMax: -0.5, snrDbMin: 15 }

/** As if it had been uploaded as 16-bit WAV. */
const clipOf = (signals: ReadonlyArray<Float64Array>, sampleRate = rate): DecodedClip => {
  const sound = decodeWav(wavOf({ coding: "s16", sampleRate, channels: signals }))
  return { sound, facts: { container: "wav", codec: "pcm", sampleRate, channels: signals.length, durationMs: 0 } }
}

const near = (found: number, wanted: number, by: number, what: string) =>
  assert.ok(Math.abs(found - wanted) <= by, `${what}: ${found}, not ${wanted} ± ${by}`)

class Speech extends Context.Service<Speech, ReadonlyArray<readonly [name: string, signal: Float64Array]>>()(
  "test/Speech"
) {
  /** Some ten seconds of each of three synthetic voices, −6 dBFS. */
  static readonly layer = Layer.effect(
    Speech,
    Effect.gen(function*() {
      const flite = yield* Flite.make({ workers: 1 })
      return yield* Effect.forEach(
        ["awb", "slt", "rms"],
        (voice, n) =>
          Effect.map(
            say(flite, preset(voice), harvardSentences.slice(4 * n, 4 * n + 4).join(" ")),
            ({ samples }) => [voice, Clips.toPeak(Float64Array.from(samples, (value) => value / 32_768), 0.5)] as const
          )
      )
    })
  )
}

const people = readSpeakers().map(({ given, name, unseen }) =>
  [name, Clips.toPeak(Float64Array.from([...given, ...unseen], (value) => value / 32_768), 0.5)] as const
)

for (const [detector, model] of [["energy and periodicity", undefined], ["Silero", vadModel]] as const) {
  layer(Layer.mergeAll(Preflight.layer({ limits, vadModel: model }), Speech.layer), { timeout: 60_000 })(
    `preflight by ${detector}`,
    (it) => {
      const measured = Effect.fnUntraced(function*(signal: Float64Array, sampleRate = rate) {
        const { reference } = yield* Preflight
        return yield* reference(clipOf([signal], sampleRate))
      })
      const metrics = (signal: Float64Array, sampleRate = rate) =>
        Effect.map(measured(signal, sampleRate), (verdict): PreflightMetrics => verdict.metrics)

      it.effect("passes clean speech, of engines and of people", () =>
        Effect.gen(function*() {
          for (const [name, signal] of [...(yield* Speech), ...people]) {
            const verdict = yield* measured(signal.subarray(0, 25 * rate))
            assert.deepEqual(verdict.fail_reasons, [], `${name} ${JSON.stringify(verdict.metrics)}`)
            near(verdict.metrics.peak_dbfs, -6.02, 0.1, `${name}, peak`)
            assert.equal(verdict.metrics.clipping_ratio, 0, name)
          }
        }), 60_000)

      it.effect("knows the SNR within 3 dB from 5 to 30 dB, of white and of pink noise", () =>
        Effect.gen(function*() {
          const errors: Array<string> = []
          for (const [name, signal] of yield* Speech) {
            for (const [colour, noise] of [["white", Clips.whiteNoise], ["pink", Clips.pinkNoise]] as const) {
              for (const snr of [5, 10, 20, 30]) {
                const noisy = Clips.toPeak(Clips.withNoise(signal, noise(signal.length), snr, rate), 0.5)
                const { fail_reasons, metrics: { snr_db } } = yield* measured(noisy)
                errors.push(`${name} ${colour} ${snr}: ${(snr_db - snr).toFixed(1)}`)
                near(snr_db, snr, 3, `${name} in ${colour} noise`)
                assert.equal(fail_reasons.includes("snr_below_threshold"), snr <= 10, `${name} ${snr} dB`)
              }
            }
          }
          console.log(`SNR errors, dB: ${errors.join(", ")}`)
        }), 120_000)

      it.effect("knows the share of speech within 0.15 of a mix with gaps", () =>
        Effect.gen(function*() {
          const [, [, speech]] = (yield* Speech) as never as readonly [unknown, readonly [string, Float64Array]]
          for (const silent of [2, 5, 10, 20]) {
            // A low noise everywhere, so that silence is no digital one.
            const mix = new Float64Array(speech.length + silent * rate)
            mix.set(speech, (silent * rate) / 2)
            const noise = Clips.whiteNoise(mix.length)
            const found = yield* metrics(mix.map((value, n) => value + 0.0005 * noise[n]!))
            const spoken = 0.86 * speech.length
            near(found.voice_activity_ratio, spoken / mix.length, 0.15, `${silent} s of silence`)
          }
        }), 60_000)

      it.effect("hears no speech in music, noise and silence", () =>
        Effect.gen(function*() {
          const seconds = 8
          const sounds = {
            chords: Clips.chords(rate, seconds),
            "slow arpeggio": Clips.arpeggio(rate, seconds, 0.3),
            "fast arpeggio": Clips.arpeggio(rate, seconds, 0.125),
            "white noise": Clips.toPeak(Clips.whiteNoise(rate * seconds), 0.5),
            "pink noise": Clips.toPeak(Clips.pinkNoise(rate * seconds), 0.5),
            silence: new Float64Array(rate * seconds)
          }
          for (const [name, signal] of Object.entries(sounds)) {
            const { fail_reasons, metrics } = yield* measured(signal)
            near(metrics.voice_activity_ratio, 0, 0.15, name)
            assert.ok(fail_reasons.includes("low_voice_activity_ratio"), name)
          }
          const silent = yield* metrics(new Float64Array(rate * seconds))
          assert.deepEqual([silent.peak_dbfs, silent.snr_db, silent.clipping_ratio, silent.bandwidth_hz], [
            -120,
            0,
            0,
            0
          ])
        }), 60_000)

      if (model !== undefined) return

      it.effect(
        "knows the share of clipped samples within a fifth, at full scale and below",
        () =>
          Effect.gen(function*() {
            for (const [name, signal] of yield* Speech) {
              for (const drive of [1.5, 3, 6]) {
                const driven = Clips.toPeak(signal, drive)
                const truth = driven.filter((value) => Math.abs(value) >= 1).length / driven.length
                for (const level of [1, 0.7]) {
                  const clipped = driven.map((value) => level * Math.max(-1, Math.min(1, value)))
                  const found = yield* metrics(clipped)
                  near(found.clipping_ratio, truth, truth * 0.2, `${name}, × ${drive} at ${level}`)
                  near(found.peak_dbfs, 20 * Math.log10(level), 0.1, `${name}, peak`)
                }
              }
            }
          }),
        60_000
      )

      it.effect("knows a bandwidth within 15 %", () =>
        Effect.gen(function*() {
          const [[, speech]] = (yield* Speech) as never as readonly [readonly [string, Float64Array]]
          const bright = speech.map((value, n) => value + 0.3 * (value - (speech[n - 1] ?? 0)))
          for (const hertz of [2000, 3400, 5000]) {
            for (const at of [rate, 48_000]) {
              const narrow = Clips.changeRate(Clips.bandLimited(bright, rate, hertz), rate, at)
              near((yield* metrics(Clips.toPeak(narrow, 0.5), at)).bandwidth_hz, hertz, hertz * 0.15, `at ${at} Hz`)
            }
          }
        }), 60_000)

      it.effect("knows durations to the millisecond, at any rate", () =>
        Effect.gen(function*() {
          const [, signal] = people[0]!
          const long = Float64Array.from({ length: 26 * rate }, (_, n) => signal[n % signal.length]!)
          for (const at of [rate, 44_100]) {
            for (
              const [millis, reasons] of [
                [4900, ["duration_below_minimum"]],
                [5000, []],
                [25_000, []],
                [25_100, ["duration_above_maximum"]]
              ] as const
            ) {
              const clip = Clips.changeRate(long, rate, at).subarray(0, (millis * at) / 1000)
              const { fail_reasons, metrics } = yield* measured(clip, at)
              assert.equal(metrics.duration_ms, millis)
              assert.deepEqual([metrics.sample_rate, metrics.channels], [at, 1])
              assert.deepEqual(fail_reasons, reasons)
            }
          }
        }), 60_000)

      it.effect("finds the peak and the clipping of one channel that the average hides", () =>
        Effect.gen(function*() {
          const [, signal] = people[0]!
          const clipped = Clips.toPeak(signal, 4).map((value) => Math.max(-1, Math.min(1, value)))
          const { reference } = yield* Preflight
          const { metrics } = yield* reference(clipOf([clipped, signal.map((value) => -value)]))
          near(metrics.peak_dbfs, 0, 0.1, "peak")
          assert.ok(metrics.clipping_ratio > 0.005)
          assert.equal(metrics.channels, 2)
        }))

      it.effect("asks less of a consent: that somebody says something for two seconds", () =>
        Effect.gen(function*() {
          const { consent } = yield* Preflight
          const [, signal] = people[0]!
          const noisy = Clips.withNoise(signal, Clips.pinkNoise(signal.length), 8, rate)
          assert.equal((yield* consent(clipOf([Clips.toPeak(noisy.subarray(0, 3 * rate), 1)]))).passed, true)
          assert.deepEqual((yield* consent(clipOf([signal.subarray(0, 1.9 * rate)]))).fail_reasons, [
            "duration_below_minimum"
          ])
          assert.deepEqual((yield* consent(clipOf([Clips.chords(rate, 4)]))).fail_reasons, ["low_voice_activity_ratio"])
        }))
    }
  )
}

layer(Preflight.layer({ limits, vadModel: "/nonexistent.onnx" }))(
  "preflight without the model that it shall use",
  (it) => {
    it.effect("goes on", () =>
      Effect.gen(function*() {
        const { reference } = yield* Preflight
        const [, signal] = people[0]!
        assert.deepEqual((yield* reference(clipOf([signal.subarray(0, 25 * rate)]))).fail_reasons, [])
      }), 60_000)
  }
)

layer(Preflight.layer({ limits, vadModel: import.meta.filename }))(
  "preflight with a model that takes its process down",
  (it) => {
    it.effect("goes on", () =>
      Effect.gen(function*() {
        const { reference } = yield* Preflight
        const [, signal] = people[0]!
        assert.deepEqual((yield* reference(clipOf([signal.subarray(0, 25 * rate)]))).fail_reasons, [])
      }), 60_000)
  }
)
