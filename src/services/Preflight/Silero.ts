/**
 * Where somebody speaks, by the network Silero VAD, run by sherpa-onnx in a process of its own for each clip: a broken
 * model takes the process down that reads it, or hangs it.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { hopMillis } from "./Activity.ts"

/** Hz, of the signal. */
export const sileroRate = 16_000
/** A start takes 0.3 s, two minutes of sound 0.5 s. */
const deadlineMillis = 8000
const outputBytesMax = 256 * 1024

/** Beginning and end of a stretch of speech, samples. */
export type Stretch = readonly [from: number, to: number]

const program = fileURLToPath(new URL("./sileroProgram.ts", import.meta.url))

/** One entry a frame of `Activity.ts`, or in words why there is none. */
export const findSpeech = (samples: Float32Array, model: string): Uint8Array | string => {
  const { error, status, stderr, stdout } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, model],
    {
      input: new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength),
      env: {},
      timeout: deadlineMillis,
      killSignal: "SIGKILL",
      maxBuffer: outputBytesMax
    }
  )
  if (error !== undefined || status !== 0) return `${error?.message ?? lastLine(stderr.toString())}`
  const hop = (sileroRate * hopMillis) / 1000
  const active = new Uint8Array(Math.floor(samples.length / hop))
  for (const [from, to] of JSON.parse(stdout.toString()) as ReadonlyArray<Stretch>) {
    active.fill(1, Math.floor(from / hop), Math.ceil(to / hop))
  }
  return active
}

const lastLine = (text: string) => text.trim().split("\n").at(-1)?.slice(0, 300) || "it ended without a word"
