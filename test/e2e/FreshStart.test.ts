/**
 * The README's promise, on a clone that has never been used: `npm start`, the printed `curl`, and a file in which a
 * recogniser hears what was asked for; then every default voice, twenty sentences each, through the whole service.
 */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MPEGDecoder } from "mpg123-decoder"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cleanEnvironment, root, start } from "../programs/Server.ts"
import { distractors, harvardSentences } from "../recogniser/harvard.ts"
import { recognise, wordErrorRate, wordsOf } from "../recogniser/Recogniser.ts"

const reference = harvardSentences.flatMap(wordsOf)
const vocabulary = [...reference, ...distractors, "hello", "this", "first", "sound"]
const errorRateMax = 0.35
const controlErrorRateMin = 0.9

/** What this checkout has compiled is of no use to another, nor the other way round. */
const asOnAFreshMachine = { SCAISPEAK_PORT: "0", SCAISPEAK_GRPC_PORT: "0", NODE_DISABLE_COMPILE_CACHE: "1" }

const clone = Effect.gen(function*() {
  const parent = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-fresh-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const folder = join(parent, "scaispeak")
  const { status, stderr } = spawnSync("git", ["clone", "--quiet", root, folder], { encoding: "utf8" })
  assert.equal(status, 0, stderr)
  return folder
})

/** Mono samples of an MP3 file at the rate that the recogniser knows; the service was asked for it. */
const decodeMp3 = async (file: string): Promise<Int16Array> => {
  const decoder = new MPEGDecoder()
  await decoder.ready
  const { channelData, sampleRate } = decoder.decode(await readFile(file))
  decoder.free()
  assert.equal(sampleRate, 16000)
  return Int16Array.from(channelData[0]!, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32767))))
}

const pcmOf = (url: string, key: string, voice: string, text: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/speak`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ text, voice_id: voice, response_format: "pcm", sample_rate: 16000 })
    })
    assert.equal(response.status, 200)
    return new Int16Array(await response.arrayBuffer())
  })

const hear = (clips: ReadonlyArray<Int16Array>) =>
  Effect.map(
    Effect.promise(() => Promise.all(clips.map((clip) => recognise(clip, vocabulary)))),
    (heard) => heard.flat()
  )

describe("a fresh clone", () => {
  it.live(
    "speaks after `npm start` and the printed curl, is understood in every voice, and ends with 0 on Ctrl-C",
    () =>
      Effect.gen(function*() {
        const folder = yield* clone
        const service = yield* start(["npm", "start"], {
          cwd: folder,
          env: asOnAFreshMachine
        })

        // As printed, but for a text that the recogniser's dictionary holds and a rate that it hears.
        const curl = service.curl.replace(
          /"text":"[^"]*"/u,
          `"text":"${harvardSentences[0]}","sample_rate":16000`
        )
        assert.notEqual(curl, service.curl)
        const asPrinted = spawnSync("sh", ["-c", service.curl], { cwd: folder, env: cleanEnvironment({}) })
        assert.equal(asPrinted.status, 0)
        assert.ok((yield* Effect.promise(() => readFile(join(folder, "hello.mp3")))).length > 10_000)
        assert.equal(spawnSync("sh", ["-c", curl], { cwd: folder, env: cleanEnvironment({}) }).status, 0)
        const first = yield* Effect.promise(() => decodeMp3(join(folder, "hello.mp3")))
        assert.ok(wordErrorRate(wordsOf(harvardSentences[0]!), yield* hear([first])) <= errorRateMax)

        const figures: Array<string> = []
        for (const voice of ["awb", "rms", "slt", "kal16"]) {
          const clips = yield* Effect.forEach(
            harvardSentences,
            (text) => pcmOf(service.url, service.key, `vox_flite_${voice}`, text),
            { concurrency: 4 }
          )
          const heard = yield* hear(clips)
          const errorRate = wordErrorRate(reference, heard)
          const wrongText = [...harvardSentences.slice(10), ...harvardSentences.slice(0, 10)].flatMap(wordsOf)
          const wrong = wordErrorRate(wrongText, heard)
          figures.push(
            `${voice} ${(100 * errorRate).toFixed(0)} % (against another text ${(100 * wrong).toFixed(0)} %)`
          )
          assert.ok(errorRate <= errorRateMax, figures.at(-1))
          assert.ok(wrong >= controlErrorRateMin, figures.at(-1))
        }
        console.log(`word error rates: ${figures.join(", ")}`)

        // Ctrl-C reaches the whole group, npm and its shell included.
        process.kill(-service.child.pid!, "SIGINT")
        assert.equal(yield* Effect.promise(() => service.exited), 0)

        const again = yield* start(["npm", "start"], {
          cwd: folder,
          env: asOnAFreshMachine
        })
        assert.equal(again.key, service.key, "the key is kept")
        const second = spawnSync("sh", ["-c", again.curl], { cwd: folder, env: cleanEnvironment({}) })
        assert.equal(second.status, 0, "the greeting of a second start waits for a backend too")
      }),
    300_000
  )
})
