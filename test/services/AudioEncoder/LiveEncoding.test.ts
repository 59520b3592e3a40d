/** Audio without an end: what goes in comes out to the last sample, however it was cut, in packets that one decoder hears as one. */
import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { createRequire } from "node:module"
import { AudioEncoder } from "../../../src/services/AudioEncoder.ts"
import { mulawCode } from "../../../src/services/AudioEncoder/G711.ts"

const { Decoder } = createRequire(import.meta.url)("@evan/opus/wasm/index.js") as {
  readonly Decoder: new(options: { channels: 1; sample_rate: number }) => { decode: (packet: Uint8Array) => Uint8Array }
}

/** A tone of 440 Hz, so many ms. */
const tone = (sampleRate: number, ms: number) =>
  Int16Array.from({ length: (sampleRate * ms) / 1000 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * i) / sampleRate))

const bytesOf = (samples: Int16Array) => new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)

const decode = (packets: ReadonlyArray<Uint8Array>): Int16Array => {
  const decoder = new Decoder({ channels: 1, sample_rate: 48000 })
  const pcm = Buffer.concat(packets.map((packet) => Buffer.from(decoder.decode(packet))))
  return new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2)
}

const power = (samples: Int16Array) => samples.reduce((sum, x) => sum + x * x, 0) / samples.length

describe("AudioEncoder.live", () => {
  layer(AudioEncoder.layer({ workers: 1 }))("in threads", (it) => {
    const encoded = Effect.fnUntraced(function*(
      codec: "opus" | "pcm" | "mulaw",
      utterances: ReadonlyArray<Int16Array>,
      part: number,
      targetRate: 48000 | 24000 | 8000 = 48000
    ) {
      const encoding = yield* (yield* AudioEncoder).live({ codec, sourceRate: 16000, targetRate })
      const pieces: Array<Uint8Array> = []
      for (const utterance of utterances) {
        const pcm = bytesOf(utterance)
        for (let at = 0; at < pcm.length; at += part) {
          pieces.push(...(yield* encoding.push(pcm.subarray(at, at + part))))
        }
        pieces.push(...(yield* encoding.settle))
      }
      return pieces
    }, Effect.scoped)

    it.effect("gives whole Opus packets of 20 ms, the same however the speech was cut, and all of it at every settling", () =>
      Effect.gen(function*() {
        const utterances = [tone(16000, 333), tone(16000, 1), tone(16000, 250)]
        const packets = yield* encoded("opus", utterances, 2048)
        assert.deepEqual(packets, yield* encoded("opus", utterances, 642))
        // Each is filled up with silence, and the codec's delay of 2.5 ms comes out with it.
        assert.equal(packets.length, 17 + 1 + 13)
        const heard = decode(packets)
        assert.equal(heard.length, packets.length * 960)
        const spoken = power(heard.subarray(4800, 48 * 330))
        assert.ok(spoken > 0.8 * 8000 ** 2 / 2 && spoken < 1.2 * 8000 ** 2 / 2, String(spoken))
        // The last of it is heard, before the next one begins.
        assert.ok(power(heard.subarray(48 * 325, 48 * 337)) > 8000 ** 2 / 10)
      }))

    it.effect("joins what is pushed without a settling into one signal", () =>
      Effect.gen(function*() {
        const whole = tone(16000, 400)
        const encoding = yield* (yield* AudioEncoder).live({ codec: "pcm", sourceRate: 16000, targetRate: 24000 })
        const pieces: Array<Uint8Array> = []
        for (const part of [whole.subarray(0, 3001), whole.subarray(3001)]) {
          pieces.push(...(yield* encoding.push(bytesOf(part))))
        }
        pieces.push(...(yield* encoding.settle))
        const joined = Buffer.concat(pieces)
        assert.deepEqual(joined, Buffer.concat(yield* encoded("pcm", [whole], 100_000, 24000)))
        assert.equal(joined.length, 24000 * 0.4 * 2)
      }).pipe(Effect.scoped))

    it.effect("codes for telephony, and keeps PCM as it is", () =>
      Effect.gen(function*() {
        const codes = Buffer.concat(yield* encoded("mulaw", [tone(16000, 100)], 500, 8000))
        assert.equal(codes.length, 800)
        assert.ok(codes.some((code) => code !== mulawCode(0)))
        const encoding = yield* (yield* AudioEncoder).live({ codec: "pcm", sourceRate: 24000, targetRate: 24000 })
        const pcm = bytesOf(tone(24000, 10))
        // Not even copied.
        assert.deepEqual((yield* encoding.push(pcm)).map(({ buffer }) => buffer), [pcm.buffer])
      }).pipe(Effect.scoped))
  })
})
