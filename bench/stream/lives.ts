/**
 * What sessions come to: heard to the end, cut in on, dropped and taken up again, dropped for good, left, aborted, opened for
 * nothing. Each ends as it should, or rejects.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Talker } from "./Talker.ts"
import type { Way } from "./Talker.ts"

/** Anything that takes longer never comes. */
const patienceMillis = 30_000
/** Of a text, in a delta. */
const deltaCharacters = 12

/** A voice that ends what it says, and one that has to be stopped: the same, where speech takes its time. */
export interface Voices {
  readonly ending: string
  readonly lasting: string
}

let texts = 0
/** No two are alike. */
const nextText = () => `This is sentence ${++texts} of them all. And that was it, for this time.`

/** A client, over all its connections. */
class Caller {
  #talker: Talker
  readonly #way: Way
  /** Frames since the last text, by their type, that nobody asked for yet. */
  readonly #unclaimed = new Map<string, string>()
  #awaited: { readonly type: string; readonly resume: (text: string) => void } | undefined
  #audioMs = 0
  #lost: ((error: Error) => void) | undefined

  constructor(way: Way) {
    this.#way = way
    this.#talker = this.#connect({}, 0)
  }

  get ready() {
    return within(this.#talker.ready, "ready")
  }

  say(text: string): void {
    this.#audioMs = 0
    this.#unclaimed.clear()
    for (let i = 0; i < text.length; i += deltaCharacters) {
      this.#talker.send({ type: "text", delta: text.slice(i, i + deltaCharacters) })
    }
    this.#talker.send({ type: "flush" })
  }

  send(frame: object): void {
    this.#talker.send(frame)
  }

  /** A frame of a type, or audio: one that came since the last text, or the next. */
  got(type: string): Promise<string> {
    const here = this.#unclaimed.get(type)
    this.#unclaimed.delete(type)
    if (here !== undefined) return Promise.resolve(here)
    return within(
      new Promise((resume, reject) => {
        this.#awaited = { type, resume }
        this.#lost = reject
      }),
      type
    )
  }

  /** All that was said has been heard, as the service says too. */
  async heardOut(): Promise<void> {
    const { audio_ms } = JSON.parse(await this.got("flush_done")) as { audio_ms: number }
    if (Math.abs(audio_ms - this.#audioMs) > 1) throw new Error(`heard ${this.#audioMs} ms of ${audio_ms}`)
  }

  async takenUpAgain(): Promise<void> {
    const { resume_token, session_id } = await this.ready
    const { seq } = this.#talker
    this.drop()
    const droppedAt = performance.now()
    await sleep(20)
    this.#talker = this.#connect({ resume: { session_id, token: resume_token, last_seq: seq } }, seq)
    await this.ready.catch((cause: unknown) => {
      throw new Error(`not taken up again ${(performance.now() - droppedAt).toFixed(0)} ms later`, { cause })
    })
  }

  leave(): void {
    this.#lost = undefined
    this.#talker.leave()
  }

  drop(): void {
    this.#lost = undefined
    this.#talker.drop()
  }

  #connect(open: object, seq: number): Talker {
    return new Talker(
      this.#way,
      {
        onAudio: (ms) => {
          this.#audioMs += ms
          this.#tell("audio", "")
        },
        onFrame: (type, _, text) => type === "error" ? this.#lost?.(new Error(text)) : this.#tell(type, text),
        onClose: (code) => this.#lost?.(new Error(`closed with ${code}`))
      },
      open,
      seq
    )
  }

  #tell(type: string, text: string): void {
    if (this.#awaited?.type !== type) return void this.#unclaimed.set(type, text)
    const { resume } = this.#awaited
    this.#awaited = undefined
    resume(text)
  }
}

const within = <A>(promise: Promise<A>, what: string): Promise<A> => {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no ${what} in ${patienceMillis} ms`)), patienceMillis)
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const opened = async (way: Way, voice: string) => {
  const caller = new Caller({ ...way, voice })
  await caller.ready
  return caller
}

/** One that is being heard. */
const speaking = async (way: Way, voice: string) => {
  const caller = await opened(way, voice)
  caller.say(nextText())
  await caller.got("audio")
  return caller
}

const lives = {
  heard: async (way: Way, { ending }: Voices) => {
    const caller = await opened(way, ending)
    for (let i = 0; i < 2; i++) {
      caller.say(nextText())
      await caller.heardOut()
    }
    caller.send({ type: "close" })
    await caller.got("closed")
    caller.leave()
  },
  cutIn: async (way: Way, { lasting }: Voices) => {
    const caller = await speaking(way, lasting)
    for (let i = 0; i < 3; i++) {
      await sleep(Math.random() * 200)
      caller.send({ type: "interrupt" })
      await caller.got("interrupted")
      caller.say(nextText())
      await caller.got("audio")
    }
    caller.leave()
  },
  takenUpAgain: async (way: Way, { ending }: Voices) => {
    const caller = await opened(way, ending)
    caller.say(nextText())
    await caller.got("audio")
    await caller.takenUpAgain()
    await caller.heardOut()
    caller.leave()
  },
  lost: async (way: Way, { lasting }: Voices) => (await speaking(way, lasting)).drop(),
  left: async (way: Way, { lasting }: Voices) => (await speaking(way, lasting)).leave(),
  aborted: async (way: Way, { lasting }: Voices) => {
    const caller = await speaking(way, lasting)
    caller.send({ type: "close", mode: "abort" })
    await caller.got("closed")
    caller.leave()
  },
  silent: async (way: Way, { ending }: Voices) => (await opened(way, ending)).drop()
}

export type Life = keyof typeof lives
const kinds = Object.keys(lives) as ReadonlyArray<Life>
/** Of which the service keeps nothing, not even for a while. */
export const ended: ReadonlyArray<Life> = ["heard", "cutIn", "takenUpAgain", "left", "aborted"]

/** So many sessions at once, one life after the other, for `millis`. Gives how many there were of each. */
export const live = async (
  way: Omit<Way, "voice" | "codec">,
  voices: Voices,
  atOnce: number,
  millis: number,
  among = kinds
) => {
  const counts = Object.fromEntries(among.map((kind) => [kind, 0])) as Record<Life, number>
  const until = performance.now() + millis
  await Promise.all(Array.from({ length: atOnce }, async (_, i) => {
    await sleep((i / atOnce) * Math.min(1000, millis / 4))
    for (let n = i; performance.now() < until; n++) {
      const kind = among[n % among.length]!
      await lives[kind]({ ...way, voice: "", codec: n % 2 === 0 ? "pcm" : "opus" }, voices).catch((cause: unknown) => {
        throw new Error(`a session to be ${kind}`, { cause })
      })
      counts[kind]++
    }
  }))
  return counts
}
