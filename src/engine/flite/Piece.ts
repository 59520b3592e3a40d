/**
 * Makes one piece of speech: runs Flite on it, cuts the silence around it to measure, bends it to another voice where that
 * is asked for, sets its loudness, and says when each word is heard. Pure but for its time: it runs inside a worker.
 */
import { bend, type Fit } from "../fit/Fit.ts"
import { activeLevel, amplify } from "./Loudness.ts"
import { readUtterance, type Utterance } from "./Utterance.ts"
import type { Program } from "./Wasi.ts"

export interface PieceJob {
  /** A voice inside the build. */
  readonly voice: string
  /** Printable ASCII; each holds something Flite can say. */
  readonly words: ReadonlyArray<string>
  /** Of durations: 2 is half the pace. */
  readonly stretch: number
  /** Factor on samples. */
  readonly gain: number
  /** ms of silence after it, at pace 1. */
  readonly pauseMillis: number
  /** Bends the voice to another one. */
  readonly fit?: Fit | undefined
}

export interface PieceMade {
  /** 16 kHz, a buffer of its own. */
  readonly samples: Int16Array<ArrayBuffer>
  /** Samples from the start of the piece, one pair a word: start, end, start, end, … */
  readonly times: ReadonlyArray<number>
}

/** Hz, of every voice in the build. */
export const sampleRate = 16000
const headerBytes = 44
/** Kept around the outer phones, whose edges are soft; samples. */
const marginSamples = 0.03 * sampleRate
/** The margins are faded over this, so that no seam clicks; samples. */
const fadeSamples = 0.01 * sampleRate
/** Quieter than any voice can be by 20 dB: nothing was said. */
const silenceDbfs = -50

/** Throws when Flite fails or says nothing: silence is never passed on as speech. */
export const makePiece = (flite: Program, job: PieceJob): PieceMade => {
  const { times, wave } = speakWords(flite, job)
  amplify(wave, job.gain)
  fade(wave)
  if (!(activeLevel(wave, sampleRate) > silenceDbfs)) throw new Error("Flite made silence")
  const samples = new Int16Array(wave.length + Math.round(job.pauseMillis * job.stretch * (sampleRate / 1000)))
  samples.set(wave)
  return { samples, times }
}

/** The words as Flite says them, bent, from the first sound to the last with margins; good until Flite runs again. */
export const speakWords = (
  flite: Program,
  job: Pick<PieceJob, "fit" | "stretch" | "voice" | "words">
): { readonly wave: Int16Array | Float64Array; readonly times: ReadonlyArray<number> } => {
  let utterance: Utterance | undefined
  const { exitCode, file } = flite.run(
    // `-t` takes the next argument as text whatever it looks like.
    ["flite", "-voice", job.voice, ...settings(job), "-t", job.words.join(" "), "-o", "o"],
    (memory, heapStart) => {
      utterance = readUtterance(memory, heapStart)
    }
  )
  if (exitCode !== 0 || utterance === undefined || file.length <= headerBytes) {
    throw new Error(`Flite made no sound (exit ${exitCode})`)
  }
  const whole = new Int16Array(file.buffer, headerBytes, (file.length - headerBytes) >> 1)
  const { end, start } = spokenPart(utterance, whole.length)
  const part = whole.subarray(start, end)
  const times = wordTimes(job.words, utterance, start, end)
  if (job.fit === undefined) return { wave: part, times }
  const wave = bend(part, job.fit)
  const { warpPercent } = job.fit
  return { wave, times: times.map((time) => Math.min(Math.round((time * 100) / warpPercent), wave.length)) }
}

/** A warped voice is asked for what it has to be before the warp. */
const settings = ({ fit, stretch }: Pick<PieceJob, "fit" | "stretch">): ReadonlyArray<string> =>
  Object.entries(
    fit === undefined
      ? { duration_stretch: stretch }
      : {
        duration_stretch: (stretch * fit.warpPercent) / 100,
        int_f0_target_mean: fit.f0MeanHz,
        int_f0_target_stddev: fit.f0SpreadHz
      }
  ).flatMap(([name, value]) => ["--setf", `${name}=${value}`])

/** From the first phone to the last, with margins; samples. */
const spokenPart = ({ segments }: Utterance, length: number): { start: number; end: number } => {
  const first = segments.findIndex(({ name }) => name !== "pau")
  const last = segments.findLastIndex(({ name }) => name !== "pau")
  if (first === -1) throw new Error("Flite made silence")
  const start = Math.round((segments[first - 1]?.end ?? 0) * sampleRate) - marginSamples
  const end = Math.round(segments[last]!.end * sampleRate) + marginSamples
  return { start: Math.max(0, start), end: Math.min(length, end) }
}

const fade = (samples: Int16Array | Float64Array): void => {
  const length = Math.min(fadeSamples, samples.length >> 1)
  for (let i = 0; i < length; i++) {
    const factor = (1 - Math.cos((Math.PI * i) / length)) / 2
    samples[i] = Math.round(samples[i]! * factor)
    const opposite = samples.length - 1 - i
    samples[opposite] = Math.round(samples[opposite]! * factor)
  }
}

/**
 * Flite cuts a word of ours into one token or more, and drops marks that stand alone; the place in the text says which
 * tokens are whose. A word gets the span from its first token's sound to its last one's.
 */
const wordTimes = (
  words: ReadonlyArray<string>,
  { tokens }: Utterance,
  start: number,
  end: number
): ReadonlyArray<number> => {
  const place = (seconds: number) => Math.min(Math.max(Math.round(seconds * sampleRate) - start, 0), end - start)
  const times: Array<number> = []
  let token = 0
  let wordEnd = -1
  for (const word of words) {
    wordEnd += word.length + 1
    const first = token
    while (token < tokens.length && tokens[token]!.endsAt <= wordEnd) token++
    const heard = tokens.slice(first, token).filter((part) => part.end > part.start)
    const before = times.at(-1) ?? 0
    times.push(
      heard.length === 0 ? before : place(heard[0]!.start),
      heard.length === 0 ? before : place(heard.at(-1)!.end)
    )
  }
  return times
}
