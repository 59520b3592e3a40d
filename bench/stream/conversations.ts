/**
 * Callers of voice agents: each hears an answer every so often, which comes as a language model writes it, three characters
 * 50 times a second; and cuts in on some of them.
 *
 * An answer is three sentences of a second and a half; a node speaks them in real time.
 */
import type { Fate } from "../fakeNode.ts"
import { monotonicMillis } from "../monotonicMillis.ts"
import { Talker } from "./Talker.ts"
import type { Way } from "./Talker.ts"
import { Wheel } from "./Wheel.ts"

const deltaCharacters = 3
const deltaMillis = 20
/** Of the audio that a node sends in one message. */
export const messageMillis = 100
/** A caller cuts in on one in so many answers. */
const interruptEvery = 4
/** What a player keeps before it begins; audio that comes later than that is a gap to the ear. */
const playerMillis = 60
/** Sessions that are being opened at once. */
const openingMax = 50

export interface Measured {
  /** ms; from the delta that completes the first sentence to its first audio, the engine's own time taken off. */
  readonly added: Array<number>
  /** Answers that were heard before their text was complete. */
  early: number
  /** Answers that a caller cut in on before it heard anything. */
  unheard: number
  /** ms in which each 100 ms of audio came. */
  readonly gaps: Array<number>
  /** Of 100 ms of audio, how many came too late for a player, and how many came. */
  underruns: number
  messages: number
  /** ms from `interrupt` to `interrupted`, and to the end of the last call at the node. */
  readonly replies: Array<number>
  readonly stops: Array<number>
  /** Calls that went on at the node behind an interrupt. */
  leaked: number
  /** ms from the socket's beginning to `ready`. */
  readonly opened: Array<number>
}

export interface Plan {
  readonly sessions: number
  /** Sentences of an answer, and how often one comes. */
  readonly sentences: number
  readonly everyMillis: number
  /** Answers of each caller that are measured; one more comes before them. */
  readonly turns: number
}

interface Turn {
  readonly caller: number
  readonly number: number
  completedAt: number
  lastDeltaAt: number
  firstAt: number
  audioMs: number
  crossedAt: number
  interruptAt: number
  interrupted: boolean
}

const textOf = (caller: number, turn: number, sentences: number) =>
  Array.from(
    { length: sentences },
    (_, i) => `This is part ${i} of turn ${pad(turn)} of caller ${pad(caller)} speaking. `
  )
    .join("")
const pad = (n: number) => String(n).padStart(4, "0")
const keyOf = (text: string) => /turn (\d+) of caller (\d+)/u.exec(text)!.slice(1).map(Number).join("/")

export interface Around {
  /** Asks the node what became of its calls. */
  readonly fates: () => Promise<Record<string, Fate>>
  /** All sessions have been answered once; and the last of the answers that are measured is over. */
  readonly onSteady: () => void
  readonly onEnd: () => void
}

export const converse = async (
  way: Way,
  { everyMillis, sentences, sessions, turns }: Plan,
  { fates, onEnd, onSteady }: Around
): Promise<Measured> => {
  const wheel = new Wheel()
  const measured: Measured = {
    added: [],
    early: 0,
    unheard: 0,
    gaps: [],
    underruns: 0,
    messages: 0,
    replies: [],
    stops: [],
    leaked: 0,
    opened: []
  }
  const done: Array<Turn> = []
  const finished = Promise.withResolvers<void>()
  let running = sessions

  const caller = (index: number) => {
    let turn: Turn | undefined
    const talker = new Talker(way, {
      onAudio: (ms, at) => {
        if (turn === undefined || turn.interrupted) return
        if (Number.isNaN(turn.firstAt)) turn.firstAt = turn.crossedAt = at
        const before = Math.floor(turn.audioMs / messageMillis)
        if (turn.number > 0) {
          // Where the player is by now, `playerMillis` behind the first audio.
          if (at - turn.firstAt - playerMillis > turn.audioMs) measured.underruns++
          measured.messages++
        }
        turn.audioMs += ms
        if (Math.floor(turn.audioMs / messageMillis) === before) return
        if (turn.number > 0 && before > 0) measured.gaps.push(at - turn.crossedAt)
        turn.crossedAt = at
      },
      onFrame: (type, at, text) => {
        if (type === "error") finished.reject(new Error(text))
        if (type === "interrupted" && turn!.number > 0) measured.replies.push(at - turn!.interruptAt)
      },
      onClose: (code) => code === 1000 || finished.reject(new Error(`closed with ${code}`))
    })

    const speak = (number: number, at: number) => {
      const text = textOf(index, number, sentences)
      const completed = Math.floor((text.indexOf(". ") + 1) / deltaCharacters)
      const deltas = Math.ceil(text.length / deltaCharacters)
      const mine: Turn = {
        caller: index,
        number,
        completedAt: NaN,
        lastDeltaAt: NaN,
        firstAt: NaN,
        audioMs: 0,
        crossedAt: NaN,
        interruptAt: NaN,
        interrupted: false
      }
      turn = mine
      if (number > 0) done.push(mine)
      for (let i = 0; i < deltas; i++) {
        wheel.at(at + i * deltaMillis, () => {
          if (mine.interrupted) return
          const now = monotonicMillis()
          if (i === completed) mine.completedAt = now
          if (i === deltas - 1) mine.lastDeltaAt = now
          talker.send({ type: "text", delta: text.slice(i * deltaCharacters, (i + 1) * deltaCharacters) })
          if (i === deltas - 1) talker.send({ type: "flush" })
        })
      }
      // In the middle of the first sentence or of the second.
      if ((number + index) % interruptEvery === 0) {
        wheel.at(at + 800 + ((index * 617) % 1000), () => {
          mine.interrupted = true
          mine.interruptAt = monotonicMillis()
          talker.send({ type: "interrupt" })
        })
      }
      if (number < turns) wheel.at(at + everyMillis, () => speak(number + 1, at + everyMillis))
      else {
        wheel.at(at + everyMillis, () => {
          talker.leave()
          if (--running === 0) finished.resolve()
        })
      }
    }
    return { talker, speak }
  }

  const callers: Array<ReturnType<typeof caller>> = []
  while (callers.length < sessions) {
    const some = Array.from(
      { length: Math.min(openingMax, sessions - callers.length) },
      (_, i) => caller(callers.length + i)
    )
    const at = monotonicMillis()
    await Promise.all(some.map(async ({ talker }) => {
      await talker.ready
      measured.opened.push(monotonicMillis() - at)
    }))
    callers.push(...some)
  }
  await fates()
  const begin = monotonicMillis() + 100
  callers.forEach(({ speak }, i) => speak(0, begin + (i / sessions) * everyMillis))
  wheel.at(begin + everyMillis, onSteady)
  wheel.at(begin + (turns + 1) * everyMillis, onEnd)
  await finished.promise
  wheel.stop()

  const calls = new Map<string, Array<Fate>>()
  for (const [text, fate] of Object.entries(await fates())) {
    const key = keyOf(text)
    calls.set(key, [...calls.get(key) ?? [], fate])
  }
  for (const turn of done) {
    const its = calls.get(`${turn.number}/${turn.caller}`) ?? []
    const first = its.reduce<Fate | undefined>((a, b) => a !== undefined && a.askedAt <= b.askedAt ? a : b, undefined)
    if (first?.firstAt !== undefined && !Number.isNaN(turn.firstAt)) {
      measured.added.push(turn.firstAt - turn.completedAt - (first.firstAt - first.askedAt))
      if (!(turn.firstAt >= turn.lastDeltaAt)) measured.early++
    } else if (turn.interrupted) measured.unheard++
    else throw new Error(`nothing was heard of turn ${turn.number} of caller ${turn.caller}`)
    if (!turn.interrupted) continue
    const stopped = its.flatMap(({ cancelledAt }) => cancelledAt ?? [])
    measured.leaked += its.filter(({ cancelledAt, endedAt }) =>
      cancelledAt === undefined && !(endedAt! < turn.interruptAt)
    ).length
    if (stopped.length > 0) measured.stops.push(Math.max(...stopped) - turn.interruptAt)
  }
  return measured
}
