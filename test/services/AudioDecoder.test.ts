/** Every format to the signal that was put in, by measurement, and what a file made to harm costs. */
import { assert as is, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AudioUndecodable } from "../../src/domain/Failure.ts"
import { AudioDecoder } from "../../src/services/AudioDecoder.ts"
import { AudioEncoder } from "../../src/services/AudioEncoder.ts"
import { byFfmpeg, encodings, sampleRate } from "./AudioDecoder/encodings.ts"
import { snrDb, tone } from "./AudioEncoder/Tone.ts"
import { wavOf } from "./ClipNormaliser/wav.ts"

const seconds = 6
const signal = tone(sampleRate, seconds * sampleRate, seconds)

/** Decodes bytes as a file. */
const decodeFile = Effect.fnUntraced(function*(file: Uint8Array) {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-test-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true }))
  )
  const path = join(folder, "0")
  yield* Effect.promise(() => writeFile(path, file))
  const { decode } = yield* AudioDecoder
  return yield* decode({ path, field: "reference" })
}, Effect.scoped)

const refusal = (file: Uint8Array) => Effect.map(Effect.flip(decodeFile(file)), ({ reason }) => reason)

/** The SNR at the best of all delays up to `most` samples. */
const alignedSnr = (found: ArrayLike<number>, most: number) => {
  const wanted = signal.subarray(sampleRate, 1.1 * sampleRate)
  return Math.max(
    ...Array.from({ length: most + 1 }, (_, delay) =>
      snrDb(
        wanted,
        Array.from(wanted, (_, n) => found[sampleRate + n + delay] ?? 0)
      ))
  )
}

const Services = Layer.mergeAll(
  AudioDecoder.layer({ ffmpeg: "ffmpeg", workers: 1 }),
  AudioEncoder.layer({ workers: 1 })
)

layer(Services)("AudioDecoder", (it) => {
  it.effect("gives back what every encoder was given, and says what it read", () =>
    Effect.gen(function*() {
      const files = yield* encodings(signal)
      // Container, codec, how far the duration may be off (ms), how exact the samples are (dB), longest delay (samples).
      const wanted = {
        wav: ["wav", "pcm", 0, 70, 0],
        flac: ["flac", "flac", 0, 70, 0],
        mp3: ["mp3", "mp3", 80, 10, 2400],
        "ogg-opus": ["ogg", "opus", 0, 10, 0],
        "ogg-vorbis": ["ogg", "vorbis", 0, 10, 0],
        webm: ["webm", "opus", 40, 10, 0],
        mp4: ["mp4", "aac", 50, 10, 2400],
        adts: ["adts", "aac", 50, 10, 2400]
      } as const
      for (const [name, [container, codec, off, exact, delay]] of Object.entries(wanted)) {
        const file = files[name as keyof typeof wanted]
        const { facts, sound } = yield* decodeFile(file)
        const { durationMs, ...rest } = facts
        assert.deepEqual(rest, { container, codec, sampleRate, channels: 1 }, name)
        assert.ok(Math.abs(durationMs - seconds * 1000) <= off, `${name}: ${durationMs} ms`)
        assert.equal(sound.cut, false)
        const snr = alignedSnr(sound.samples, delay)
        assert.ok(snr > exact, `${name}: ${snr} dB`)
        const begin = performance.now()
        yield* decodeFile(file)
        console.log(
          `${name.padEnd(10)} x ${Math.round((seconds * 1000) / (performance.now() - begin))}, ${snr.toFixed(0)} dB`
        )
      }
    }), 60_000)

  it.effect("averages channels, and keeps what that hides", () =>
    Effect.gen(function*() {
      const loud = Float64Array.from({ length: 4800 }, (_, n) => Math.sin(n / 10))
      const wav = wavOf({ coding: "f32", sampleRate, channels: [loud, loud.map((value) => -value)] })
      const { facts, sound } = yield* decodeFile(wav)
      assert.equal(facts.channels, 2)
      assert.ok(sound.samples.every((value) => Math.abs(value) < 1e-6))
      is.approximately(sound.peak, 1, 1e-3)
      assert.ok(sound.fullScaleRatio > 0.01)
      for (
        const options of ["-c:a libmp3lame -f mp3", "-c:a libopus -f ogg", "-c:a libvorbis -f ogg", "-c:a flac -f flac"]
      ) {
        const { facts } = yield* decodeFile(byFfmpeg(wav, `-ac 2 ${options}`))
        assert.equal(facts.channels, 2, options)
      }
    }))

  it.effect("reads no more than two minutes of eight hours", () =>
    Effect.gen(function*() {
      // MPEG-2.5 layer III, 8 kbit/s, 8 kHz: 72 bytes are 72 ms of silence.
      const frame = Buffer.concat([Buffer.from([0xff, 0xe3, 0x18, 0xc4]), Buffer.alloc(68)])
      const hours = Buffer.alloc(8 * 3_600_000, frame)
      const begin = performance.now()
      const { facts, sound } = yield* decodeFile(hours)
      assert.equal(sound.cut, true)
      assert.equal(facts.durationMs, 120_000)
      assert.ok(sound.samples.every((value) => value === 0))
      console.log(`8 h of MP3: ${hours.length} bytes in ${Math.round(performance.now() - begin)} ms`)
    }), 30_000)

  it.effect("decodes what is there of a file that is cut, or refuses it, and goes on", () =>
    Effect.gen(function*() {
      const files = yield* encodings(signal.subarray(0, 2 * sampleRate))
      for (const [name, file] of Object.entries(files)) {
        for (const share of [0.001, 0.01, 0.1, 0.5, 0.99]) {
          const cut = file.subarray(0, Math.ceil(file.length * share))
          const made = yield* Effect.result(decodeFile(cut))
          if (made._tag === "Failure") assert.match(made.failure.reason, /^(is|has|breaks) /u)
          else assert.ok(made.success.facts.durationMs <= 2100, name)
        }
      }
      assert.equal((yield* decodeFile(files.wav)).facts.durationMs, 2000)
    }), 60_000)

  it.effect("survives files with broken bytes", () =>
    Effect.gen(function*() {
      const files = yield* encodings(signal.subarray(0, sampleRate))
      let seed = 1
      const random = (below: number) => {
        seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
        return seed % below
      }
      for (const file of Object.values(files)) {
        for (let round = 0; round < 6; round++) {
          const broken = Buffer.from(file)
          for (let n = 0; n < 20; n++) {
            broken[random(round < 3 ? Math.min(200, file.length) : file.length)] = random(256)
          }
          const made = yield* Effect.result(decodeFile(broken))
          if (made._tag === "Failure") assert.ok(made.failure instanceof AudioUndecodable)
        }
      }
      assert.equal((yield* decodeFile(files.flac)).facts.durationMs, 1000)
    }), 60_000)

  it.effect("refuses, in words, what is no sound or none that can be read", () =>
    Effect.gen(function*() {
      const wav = wavOf({ coding: "s16", sampleRate, channels: [signal] })
      assert.match(yield* refusal(Buffer.from("<svg/>")), /is an SVG image/u)
      assert.match(yield* refusal(byFfmpeg(wav, "-c:a alac -f mov -movflags frag_keyframe+empty_moov")), /MP4 with/u)
      assert.match(yield* refusal(byFfmpeg(wav, "-c:a libvorbis -f webm")), /WebM with VORBIS/u)
      assert.match(yield* refusal(byFfmpeg(wav, "-ac 6 -c:a libopus -f ogg")), /6 channels/u)
      assert.match(yield* refusal(wavOf({ coding: "f32", sampleRate, channels: [[0, NaN]] })), /not numbers/u)
      assert.match(yield* refusal(wavOf({ coding: "s16", sampleRate, channels: [[]] })), /no samples/u)
      const failure = yield* Effect.flip(decodeFile(new Uint8Array(0)))
      assert.deepEqual(failure.details, [{ field: "reference", message: "The clip is empty." }])
    }))
})

layer(Layer.mergeAll(AudioDecoder.layer({ ffmpeg: "/nonexistent/ffmpeg" }), AudioEncoder.layer({ workers: 1 })))(
  "AudioDecoder without ffmpeg",
  (it) => {
    it.effect("names the format that it cannot read", () =>
      Effect.gen(function*() {
        const files = yield* encodings(signal.subarray(0, sampleRate))
        for (const name of ["mp4", "adts"] as const) {
          assert.match(yield* refusal(files[name]), /^is AAC, which needs ffmpeg, and this server has none/u)
        }
        assert.equal((yield* decodeFile(files.mp3)).facts.codec, "mp3")
      }))
  }
)

/** Stands in for ffmpeg: a shell script. */
const scripted = (script: string) =>
  Layer.unwrap(Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-test-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true }))
    )
    const ffmpeg = join(folder, "ffmpeg")
    yield* Effect.promise(() => writeFile(ffmpeg, `#!/bin/sh\n${script}\n`, { mode: 0o755 }))
    return AudioDecoder.layer({ ffmpeg })
  }))

const adts = byFfmpeg(
  wavOf({ coding: "s16", sampleRate, channels: [signal.subarray(0, sampleRate)] }),
  "-c:a aac -f adts"
)

for (
  const [what, script, reason] of [
    ["that fails", "exit 1", /^is broken AAC$/u],
    ["that writes nonsense", "cat >/dev/null; echo hello", /^is broken AAC$|WAV/u],
    ["that never stops writing", "exec cat /dev/zero", /decodes to too much/u],
    ["that hangs", "exec sleep 60", /takes too long/u],
    [
      "that is told of none of our secrets",
      "cat >/dev/null; [ -z \"$HOME$SECRET\" ] || exec sleep 60",
      /^is broken AAC$/u
    ]
  ] as const
) {
  layer(scripted(script), { excludeTestServices: true })(`AudioDecoder with an ffmpeg ${what}`, (it) => {
    it.effect("refuses the clip, in time", () =>
      Effect.gen(function*() {
        assert.match(yield* refusal(adts), reason)
      }))
  })
}

layer(AudioDecoder.layer({ ffmpeg: "ffmpeg" }))("M4A", (it) => {
  it.effect("is read with its index at the end, as recorders write it", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-test-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true }))
      )
      const path = join(folder, "clip.m4a")
      byFfmpeg(wavOf({ coding: "s16", sampleRate, channels: [signal] }), `-c:a aac ${path} -f null`)
      const { decode } = yield* AudioDecoder
      const { facts } = yield* decode({ path, field: "reference" })
      assert.deepEqual([facts.container, facts.codec], ["mp4", "aac"])
      assert.ok(Math.abs(facts.durationMs - seconds * 1000) < 50)
    }))
})
