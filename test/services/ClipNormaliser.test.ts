/** What a reference clip keeps of its recording, by measurement, and which recordings are refused. */
import { describe, it, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import assert from "node:assert/strict"
import { decodeWav } from "../../src/services/AudioDecoder/Wav.ts"
import { wavHeader } from "../../src/services/AudioEncoder/Wav.ts"
import { ClipNormaliser, ReferenceUnusable } from "../../src/services/ClipNormaliser.ts"
import {
  normalise,
  normaliseSound,
  pcmOf,
  recordingBytesMax,
  signalOf
} from "../../src/services/ClipNormaliser/Normalise.ts"
import { readWav } from "../../src/services/ClipNormaliser/WavFile.ts"
import { snrDb, tone } from "./AudioEncoder/Tone.ts"
import { chunk, format, riff, subFormat, wavOf, type Written } from "./ClipNormaliser/wav.ts"

const rates = [8000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000]

const signal = (file: Uint8Array) => Result.getOrThrow(Result.flatMap(readWav(file), signalOf))
const samples = (pcm: Uint8Array) => Float64Array.from(new Int16Array(pcm.buffer as ArrayBuffer), (it) => it / 32768)
const sine = (sampleRate: number, hertz: number, seconds: number, level = 1) =>
  Float64Array.from(
    { length: sampleRate * seconds },
    (_, n) => level * Math.sin((2 * Math.PI * hertz * n) / sampleRate)
  )
/** Power, dB against a full-scale sine. */
const levelDb = (it: Float64Array) => 10 * Math.log10((2 * it.reduce((sum, value) => sum + value ** 2, 0)) / it.length)

describe.each(rates)("a clip of %i Hz", (sampleRate) => {
  const count = Math.round(sampleRate * 0.5) + 7
  const seconds = count / sampleRate
  const wanted = tone(16_000, Math.round(seconds * 16_000), seconds)

  it("keeps its signal at more than 100 dB SNR up to the rounding, which costs what 16 bits cost", () => {
    const file = wavOf({ coding: "f32", sampleRate, channels: [tone(sampleRate, count, seconds)] })
    const made = signal(file)
    assert.equal(made.length, wanted.length)
    const before = snrDb(wanted, made)
    assert.ok(before > 100, `${before} dB`)
    const noise = samples(Result.getOrThrow(normalise(file))).map((value, n) => value - wanted[n]!)
    const after = levelDb(noise)
    assert.ok(Math.abs(after - -98.1) < 0.5, `${after} dBFS of noise`)
  })

  it("folds nothing back above −100 dB", () => {
    for (const share of [1.01, 1.1, 1.5, 1.9, 2.5, 3.3]) {
      if (8000 * share >= sampleRate / 2) continue
      const made = signal(wavOf({ coding: "f32", sampleRate, channels: [sine(sampleRate, 8000 * share, 0.25)] }))
      const alias = levelDb(made.subarray(1000, 3000))
      assert.ok(alias < -100, `${alias} dB of ${8000 * share} Hz`)
    }
  })
})

describe("a clip", () => {
  it("is read in every coding, as exactly as its bits allow", () => {
    const wanted = tone(16_000, 8000, 0.5)
    const exact: Record<Written["coding"], number> = { u8: 30, s16: 80, s24: 125, s32: 140, f32: 140 }
    for (const [coding, atLeast] of Object.entries(exact) as ReadonlyArray<[Written["coding"], number]>) {
      for (const extensible of [false, true]) {
        const snr = snrDb(wanted, signal(wavOf({ coding, sampleRate: 16_000, channels: [wanted], extensible })))
        assert.ok(snr > atLeast, `${coding}: ${snr} dB`)
      }
    }
  })

  it("is the same whether it is read here or was decoded before", () => {
    for (const [sampleRate, coding] of [[16_000, "s16"], [44_100, "s16"], [48_000, "f32"]] as const) {
      const channels = [0.3, 0.8].map((level) => sine(sampleRate, 440, 0.5, level))
      const file = wavOf({ coding, sampleRate, channels })
      const read = samples(Result.getOrThrow(normalise(file)))
      const decoded = samples(Result.getOrThrow(normaliseSound(decodeWav(file))))
      // Decoded sound is in single precision: a rounding may fall the other way.
      const apart = read.reduce((most, value, n) => Math.max(most, Math.abs(value - decoded[n]!)), 0)
      assert.equal(decoded.length, read.length)
      assert.ok(apart <= 1 / 32_768, `${sampleRate} ${coding}: ${apart * 32_768} steps`)
    }
    const mono = wavOf({ coding: "s16", sampleRate: 16_000, channels: [sine(16_000, 440, 0.5)] })
    assert.deepEqual(Result.getOrThrow(normaliseSound(decodeWav(mono))), Result.getOrThrow(normalise(mono)))
    const odd = Result.flip(normaliseSound({ ...decodeWav(mono), sampleRate: 44_101 }))
    assert.match(Result.getOrThrow(odd), /sample rate of 44101 Hz/u)
  })

  it("passes bit for bit when it is normal already, in a buffer of its own", () => {
    const all = Int16Array.from({ length: 4000 }, (_, n) => (n * 7919) % 65_536 - 32_768)
    all.set([-32_768, 32_767, 0, -1])
    const data = new Uint8Array(all.buffer)
    for (const extra of [[], [["LIST", Buffer.from("odd")]], [["bext", Buffer.alloc(602)]]] as const) {
      const fmt = format({ tag: 1, channels: 1, sampleRate: 16_000, frameBytes: 2, bits: 16 })
      const file = riff(chunk("fmt ", fmt), ...extra.map(([name, body]) => chunk(name, body)), chunk("data", data))
      const made = Result.getOrThrow(normalise(file))
      assert.deepEqual(made, data)
      assert.equal(made.buffer.byteLength, data.length)
    }
    const streamed = Buffer.concat([wavHeader(16_000), data, Buffer.alloc(1)])
    assert.deepEqual(Result.getOrThrow(normalise(streamed)), data, "of unknown length, its last sample cut")
  })

  it("is the mean of its channels, and clips nowhere", () => {
    const loud = new Float64Array(1600).fill(1)
    const quiet = new Float64Array(1600).fill(-0.5)
    const mean = samples(
      Result.getOrThrow(normalise(wavOf({ coding: "f32", sampleRate: 16_000, channels: [loud, quiet, quiet, quiet] })))
    )
    assert.ok(mean.every((value) => Math.abs(value + 0.125) < 2 ** -15))
    for (const level of [1, -1, 1.5, 1000, 3e38]) {
      const made = samples(
        Result.getOrThrow(
          normalise(wavOf({ coding: "f32", sampleRate: 48_000, channels: [sine(48_000, 440, 0.5, level)] }))
        )
      )
      const peak = made.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      assert.ok(peak > 0.999, `${peak}`)
      assert.ok(snrDb(sine(16_000, 440, 0.5, Math.sign(level)).subarray(200, 7800), made.subarray(200, 7800)) > 60)
    }
    // A square wave rings beyond full scale when its band is cut.
    const square = sine(44_100, 500, 0.2).map((value) => (value < 0 ? -1 : 1))
    const rung = signal(wavOf({ coding: "s16", sampleRate: 44_100, channels: [square] }))
    const peak = rung.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    assert.ok(peak > 1.05, `${peak}`)
    assert.ok(snrDb(rung.map((value) => value / peak), samples(pcmOf(rung))) > 80)
    assert.deepEqual([...new Int16Array(pcmOf(Float64Array.of(-1, 1 - 2 ** -15, 0, 2 ** -15)).buffer)], [
      -32768,
      32767,
      0,
      1
    ])
  })

  const fmt = { tag: 1, channels: 1, sampleRate: 16_000, frameBytes: 2, bits: 16 }
  const data = chunk("data", Buffer.alloc(320))
  const withFormat = (changes: Partial<Parameters<typeof format>[0]>, samples: Uint8Array = data) =>
    riff(chunk("fmt ", format({ ...fmt, ...changes })), samples)
  const refused: ReadonlyArray<readonly [what: string, file: Uint8Array, reason: RegExp]> = [
    ["nothing", new Uint8Array(0), /not a WAV file/u],
    ["an MP3", Buffer.from("ID3\x04\0\0\0\0\0\0\0\0\0\0\0\0"), /not a WAV file/u],
    ["RF64", Buffer.concat([Buffer.from("RF64"), withFormat({}).subarray(4)]), /not a WAV file/u],
    ["a header alone", riff(), /no samples/u],
    ["no data", riff(chunk("fmt ", format(fmt))), /no samples/u],
    ["empty data", withFormat({}, chunk("data", new Uint8Array(0))), /no samples/u],
    ["less than a frame", withFormat({}, chunk("data", new Uint8Array(1))), /no samples/u],
    ["data before its format", riff(data, chunk("fmt ", format(fmt))), /before their format/u],
    ["a short format", riff(chunk("fmt ", new Uint8Array(14)), data), /cut short/u],
    ["a format that ends with the file", riff(chunk("fmt ", new Uint8Array(8), 16)), /cut short/u],
    ["ADPCM", withFormat({ tag: 2, bits: 4 }), /compressed/u],
    ["a short extensible", withFormat({ tag: 0xfffe }), /compressed/u],
    ["a foreign sub-format", withFormat({ tag: 0xfffe, subFormat: "01".repeat(16) }), /compressed/u],
    ["A-law as a sub-format", withFormat({ tag: 0xfffe, subFormat: subFormat(6) }), /compressed/u],
    ["12 bits", withFormat({ bits: 12 }), /pcm samples of 12 bits/u],
    ["64-bit float", withFormat({ tag: 3, bits: 64, frameBytes: 8 }), /float samples of 64 bits/u],
    ["no channels", withFormat({ channels: 0, frameBytes: 0 }), /0 channels/u],
    ["nine channels", withFormat({ channels: 9, frameBytes: 18 }), /9 channels/u],
    ["a frame that does not add up", withFormat({ frameBytes: 1 }), /take 1 bytes/u],
    ["no rate", withFormat({ sampleRate: 0 }), /0 Hz/u],
    ["a rate below speech", withFormat({ sampleRate: 7999 }), /7999 Hz/u],
    ["a rate beyond all", withFormat({ sampleRate: 0xffffffff }), /4294967295 Hz/u],
    ["a rate without a ratio", withFormat({ sampleRate: 44_101 }), /44101 Hz/u],
    ["two minutes and a sample", withFormat({ sampleRate: 8000 }, chunk("data", Buffer.alloc(1_920_002))), /120 s/u],
    ["endless chunks", riff(...Array.from({ length: 300 }, () => chunk("junk", new Uint8Array(0)))), /256 chunks/u],
    ["a chunk that claims 4 GiB", riff(chunk("junk", new Uint8Array(2), 0xffffffff), data), /no samples/u],
    ["infinite samples", wavOf({ coding: "f32", sampleRate: 8000, channels: [[0, Infinity, 0]] }), /not numbers/u],
    ["samples that are no numbers", wavOf({ coding: "f32", sampleRate: 16_000, channels: [[NaN]] }), /not numbers/u]
  ]
  for (const [what, file, reason] of refused) {
    it(`is refused that is ${what}`, () => {
      const made = normalise(file)
      assert.ok(Result.isFailure(made))
      assert.match(made.failure, reason)
    })
  }

  it("survives every cut and every broken byte of a header", () => {
    const file = wavOf({ coding: "s24", sampleRate: 48_000, channels: [[0.5, 0.25], [0, 0]], extensible: true })
    for (let length = 0; length < file.length; length++) assert.ok(Result.isResult(normalise(file.subarray(0, length))))
    for (let at = 0; at < 68; at++) {
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
        const broken = Buffer.from(file)
        broken[at] = value
        assert.ok(Result.isResult(normalise(broken)))
      }
    }
  })
})

layer(ClipNormaliser.layer)("ClipNormaliser", (it) => {
  const file = wavOf({
    coding: "s24",
    sampleRate: 48_000,
    channels: [tone(48_000, 4800, 0.1), tone(48_000, 4800, 0.1)]
  })

  it.effect("does the same in its thread", () =>
    Effect.gen(function*() {
      const { normalise: remote } = yield* ClipNormaliser
      assert.deepEqual(yield* remote(file), Result.getOrThrow(normalise(file)))
      assert.equal(file.length, 44 + 4800 * 6, "and leaves the recording alone")
    }))

  it.effect("refuses there and here", () =>
    Effect.gen(function*() {
      const { normalise } = yield* ClipNormaliser
      const infinite = yield* Effect.flip(normalise(wavOf({ coding: "f32", sampleRate: 8000, channels: [[Infinity]] })))
      assert.deepEqual(infinite, new ReferenceUnusable({ reason: "has samples that are not numbers" }))
      assert.equal(infinite.message, "The clip has samples that are not numbers.")
      const large = yield* Effect.flip(normalise(new Uint8Array(recordingBytesMax + 1)))
      assert.match(large.reason, /larger than 67108864 bytes/u)
    }))
})
