/**
 * Any order of what a client does, what an engine does, and what time does to one live session; and what has to hold of what
 * the client was sent. Audio
 * says which characters it came from (`ScriptedSynthesis`), and text is written in the letter of its epoch, so that nothing of an older one can pass for it.
 */
import { Cause, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import type { Backend } from "../../src/domain/BackendPolicy.ts"
import { BackendFailed, VoiceNotReady } from "../../src/domain/Failure.ts"
import { RequestId, VoiceId } from "../../src/domain/Ids.ts"
import { decodeClientFrame } from "../../src/domain/stream/ClientFrame.ts"
import type { LiveFrame, Open } from "../../src/domain/stream/ClientFrame.ts"
import { StreamService } from "../../src/stream/StreamService.ts"
import type { OutputItem, StreamSession } from "../../src/stream/StreamService.ts"
import * as ScriptedSynthesis from "../layers/ScriptedSynthesis.ts"
import { left, sampleRate, spoken } from "../layers/ScriptedSynthesis.ts"
import { caller } from "./Client.ts"

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

/** An engine whose calls take their time, and break now and then. */
const engine = (random: () => number, breaks: boolean) => {
  const wait = Effect.suspend(() => random() < 0.5 ? Effect.void : Effect.sleep(Math.floor(random() * 40)))
  let backend: Backend = "A"
  return ScriptedSynthesis.layer((text) => {
    if (random() < 0.05) backend = backend === "A" ? "B" : "A"
    const pcm = spoken(text)
    const pieces: Array<Uint8Array> = []
    for (let at = 0; at < pcm.length; at += pieces.at(-1)!.length) {
      pieces.push(pcm.subarray(at, at + 2 * Math.ceil(random() * 300)))
    }
    return {
      backend,
      pieces,
      before: Effect.andThen(
        wait,
        fails(breaks && random() < 0.03, new BackendFailed({ backend, cause: "asked for" }))
      ),
      beforePiece: Effect.suspend(() =>
        Effect.andThen(wait, fails(breaks && random() < 0.01, new VoiceNotReady({ reason: "asked for" })))
      )
    }
  })
}

const fails = <E>(fails: boolean, failure: E): Effect.Effect<void, E> => fails ? Effect.fail(failure) : Effect.void

const options = {
  stream: { leadMs: 100, writeMs: 1_000_000, idleMs: 1_000_000, sessionMs: 10_000_000, resumeMs: 30_000 },
  drainMs: 10_000
}

const openFrame = decodeClientFrame({
  type: "open",
  voice_id: VoiceId.make("vox_test"),
  output: { codec: "pcm", sample_rate: sampleRate }
})
assert.ok(openFrame._tag === "Success")
const openWith = (resume?: Open["resume"]): Open => ({
  ...openFrame.success as Open,
  ...(resume === undefined ? {} : { resume })
})

interface Connection {
  readonly session: StreamSession
  readonly scope: Scope.Closeable
  reads: boolean
  /** Everything has been read. */
  done: boolean
}

/** One session under so many random steps; then its end, and the judgement. */
export const interleaving = (seed: number, steps: number) => {
  const random = randomOf(seed)
  const breaks = seed % 4 === 0
  return Effect.gen(function*() {
    const service = yield* StreamService
    const received: Array<OutputItem> = []
    const flushes: Array<string> = []
    let letter = 0
    let connection: Connection | undefined

    const connect = Effect.fnUntraced(function*(resume?: Open["resume"]) {
      const scope = yield* Scope.make()
      const session = yield* service.open(caller, RequestId.make("req_test"), openWith(resume)).pipe(
        Scope.provide(scope)
      )
      const made: Connection = { session, scope, reads: true, done: false }
      connection = made
      yield* Effect.forkIn(
        Effect.gen(function*() {
          while (true) {
            const items = yield* session.take
            received.push(...items)
            // A client that reads slowly, or not at all for a while.
            do yield* Effect.sleep(Math.floor(random() * 5))
            while (!made.reads)
          }
        }).pipe(Effect.catchIf(Cause.isDone, () => Effect.sync(() => made.done = true))),
        scope
      )
      return made
    })
    const drop = Effect.fnUntraced(function*({ scope }: Connection) {
      yield* Scope.close(scope, Exit.void)
      connection = undefined
      // What was on the way is lost.
      received.splice(Math.max(0, received.length - Math.floor(random() * 4)))
    })

    const { session: first } = yield* connect()
    const resume = (): Open["resume"] => ({
      sessionId: first.ready.sessionId,
      token: first.ready.resumeToken,
      lastSeq: received.length
    })
    const send = (frame: LiveFrame) => Effect.sync(() => connection!.session.receive(frame))
    const written = (): string => {
      const c = String.fromCharCode(97 + letter % 26)
      const pieces = [`${c.repeat(1 + Math.floor(random() * 12))} `, c, `${c.repeat(9)}. `, `${c}! `, `, ${c}`, "… "]
      return pieces[Math.floor(random() * pieces.length)]!.repeat(1 + Math.floor(random() * 3))
    }

    for (let step = 0; step < steps; step++) {
      if (connection === undefined) {
        yield* connect(resume())
        continue
      }
      if (connection.done) break
      const dice = random()
      if (dice < 0.35) yield* send({ type: "text", delta: written() })
      else if (dice < 0.47) {
        flushes.push(`f${flushes.length}`)
        yield* send({ type: "flush", id: flushes.at(-1)! })
      } else if (dice < 0.55) {
        letter++
        yield* send(random() < 0.5 ? { type: "interrupt" } : { type: "interrupt", playedMs: random() * 500 })
        for (let turns = 0; turns < 5; turns++) yield* Effect.yieldNow
        assert.equal(left.calls, 0, "an interrupt ends the engine's calls")
      } else if (dice < 0.6) yield* send({ type: "pause" })
      else if (dice < 0.66) yield* send({ type: "resume" })
      else if (dice < 0.7) yield* send({ type: "played", ms: random() * 500 })
      else if (dice < 0.74) connection.reads = !connection.reads
      else if (dice < 0.79) yield* drop(connection)
      // More than the control frames of a second need: they are not the subject.
      else yield* TestClock.adjust(Math.floor(random() * 120))
    }
    const aborts = random() < 0.3
    if (connection === undefined) yield* connect(resume())
    connection!.reads = true
    yield* send({ type: "resume" })
    yield* send({ type: "close", mode: aborts ? "abort" : "drain" })
    for (let waits = 0; service.sessions() > 0 && waits < 400; waits++) yield* TestClock.adjust(100)
    assert.equal(service.sessions(), 0, "the session ends")
    yield* Scope.close(connection!.scope, Exit.void)
    assert.deepEqual(left, { calls: 0, sessions: 0 }, "nothing is left")
    judge(received, flushes)
    return received.length
  }).pipe(
    Effect.provide(
      StreamService.layer(options).pipe(Layer.provide([engine(random, breaks), ScriptedSynthesis.encoders]))
    ),
    Effect.catchCause((cause) => Effect.die(new Error(`seed ${seed}`, { cause: Cause.squash(cause) })))
  )
}

/** What has to hold of everything that the client was sent, in order. */
export const judge = (received: ReadonlyArray<OutputItem>, flushes: ReadonlyArray<string>): void => {
  const types = received.map((item) => item._tag === "frame" ? item.frame.type : "audio")
  const ends = types.filter((type) => type === "closed" || type === "error")
  assert.equal(ends.length, 1, "one end")
  assert.equal(types.at(-1), ends[0], "and nothing after it")

  let fence = 0
  let segment: { readonly expected: Buffer; at: number } | undefined
  let timeMs = 0
  let number = 0
  const complete = () => assert.ok(segment === undefined || segment.at === segment.expected.length, "no sample is lost")
  const answered: Array<string> = []
  for (const [i, item] of received.entries()) {
    if (item._tag === "audio") {
      assert.ok(segment !== undefined, "a segment comes before its audio")
      const { at, expected } = segment
      assert.deepEqual(Buffer.from(item.bytes), expected.subarray(at, at + item.bytes.length), "the engine's samples")
      segment.at += item.bytes.length
      timeMs += item.bytes.length / 2 / (sampleRate / 1000)
      continue
    }
    const { frame } = item
    switch (frame.type) {
      case "segment":
        complete()
        segment = { expected: spoken(frame.text), at: 0 }
        assert.equal(frame.segment > number, true, "segments are counted")
        number = frame.segment
        assert.ok(frame.chars[0] >= fence, "nothing from before the interrupt")
        assert.equal(frame.startMs, Math.round(timeMs), "stream time counts what was sent")
        break
      case "flush_done":
        if (frame.interrupted !== true) complete()
        answered.push(frame.id!)
        break
      case "interrupted":
        segment = undefined
        fence = frame.heardChars + frame.unheardText.length
        break
      case "closed":
        if (!types.slice(0, i).includes("interrupted")) assert.ok(frame.stats.interrupted === 0)
        break
    }
  }
  if (ends[0] === "closed") assert.deepEqual(answered, flushes, "each flush is answered once, in order")
  else assert.deepEqual(answered, flushes.slice(0, answered.length), "no flush is answered twice")
}
