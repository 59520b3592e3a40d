import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { AudioEncoder, completed } from "../../../src/services/AudioEncoder.ts"
import { decode } from "./decode.ts"
import { encoded, hardCases, speech } from "./speech.ts"
import { pcmOf, tone } from "./Tone.ts"

layer(AudioEncoder.layer({ workers: 1 }))("completed", (it) => {
  const pcm = pcmOf(tone(24000, 30_011, 1.25))

  it.effect("writes the true sizes into a WAV file that said they were unknown", () =>
    Effect.gen(function*() {
      const options = { format: "wav", sourceRate: 24000, targetRate: 24000 } as const
      const file = yield* encoded(options, speech(pcm))
      assert.deepEqual([file.readUInt32LE(4), file.readUInt32LE(40)], [0xffffffff, 0xffffffff])
      completed("wav", file)
      assert.deepEqual([file.readUInt32LE(4), file.readUInt32LE(40)], [36 + pcm.length, pcm.length])
      assert.equal(file.readUInt32LE(24), 24000)
      assert.deepEqual(new Uint8Array(file.subarray(44)), pcm)
    }))

  it.effect.each([8000, 16000, 22050, 24000, 44100, 48000] as const)(
    "writes the length into FLAC at %i Hz",
    (rate) =>
      Effect.gen(function*() {
        const options = { format: "flac", sourceRate: 24000, targetRate: rate } as const
        const file = yield* encoded(options, speech(pcm))
        const before = new Uint8Array(file)
        assert.equal(totalSamples(file), 0)
        completed("flac", file)
        const samples = Math.round((30_011 * rate) / 24000)
        assert.equal(totalSamples(file), samples)
        const heard = yield* Effect.promise(() => decode("flac", rate, file))
        assert.equal(heard.length, samples)
        assert.equal(
          file.filter((byte, i) => byte !== before[i] && (i < 21 || i > 25)).length,
          0,
          "nothing else changed"
        )
      })
  )

  it.effect("leaves the other formats, and FLAC of nothing, as they are", () =>
    Effect.gen(function*() {
      for (const options of hardCases) {
        const file = yield* encoded(options, speech(options.format === "flac" ? new Uint8Array(0) : pcm))
        if (options.format === "wav") continue
        const before = new Uint8Array(file)
        assert.deepEqual(new Uint8Array(completed(options.format, file)), before)
      }
    }))
})

/** The 36-bit count of STREAMINFO. */
const totalSamples = (file: Buffer): number => (file.readUInt8(21) & 0xf) * 2 ** 32 + file.readUInt32BE(22)
