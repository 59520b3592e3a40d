/** Who goes on when a backend breaks after it was heard: over backends that are nothing but lists of chunks. */
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import type { Backend } from "../../src/domain/BackendPolicy.ts"
import { BackendFailed, BackendSaturated, BackendTimeout, BackendUnavailable } from "../../src/domain/Failure.ts"
import type { DispatchFailure } from "../../src/domain/Failure.ts"
import type { PcmChunk, SpokenWord } from "../../src/domain/PcmChunk.ts"
import type { Dispatched, DispatchRefusal } from "../../src/services/Dispatch.ts"
import { hear } from "../../src/services/Synthesis/FirstSound.ts"
import type { Heard, Route } from "../../src/services/Synthesis/FirstSound.ts"
import { restAfter } from "../../src/services/Synthesis/RestOfText.ts"
import { takingOver } from "../../src/services/Synthesis/Takeover.ts"
import { voice } from "../layers/voices.ts"

const text = "One two three. Four five six. Seven eight."

/** 1 kHz: two bytes a ms. */
const sampleRate = 1000
const wordMillis = 100
const wordBytes = 2 * wordMillis

/** Samples of one speaker and text that repeat nowhere near, and when each word is heard. */
const speechOf = (speaker: string, text: string) => {
  const words = text.match(/\w+/gu)!.map((word, i): SpokenWord => ({
    text: word,
    startMs: i * wordMillis,
    endMs: (i + 1) * wordMillis,
    source: "native"
  }))
  const seed = [...speaker + text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)!) % 65_521, 7)
  const pcm = Uint8Array.from({ length: words.length * wordBytes }, (_, i) => ((seed + i * i) % 251) + 1)
  return { pcm, words }
}

/** In chunks that end at these bytes; words come with the chunk in which they begin. */
const cut = ({ pcm, words }: ReturnType<typeof speechOf>, ends: ReadonlyArray<number>): Array<PcmChunk> =>
  [...new Set([...ends.filter((at) => at > 0 && at < pcm.length), pcm.length])]
    .toSorted((a, b) => a - b)
    .map((end, i, all) => {
      const start = all[i - 1] ?? 0
      return {
        pcm: pcm.subarray(start, end),
        words: words.filter(({ startMs }) => 2 * startMs >= start && 2 * startMs < end)
      }
    })

/** For a first audio, ms. */
const waitMillis = 1000

interface Script {
  readonly says?: Partial<Dispatched>
  /** What it is asked to say, in the voice of its backend, word by word; or other speech. */
  readonly speaker?: string
  readonly ends?: ReadonlyArray<number>
  readonly words?: "none"
  /** Chunks after which it breaks; the whole when absent. */
  readonly breaksAfter?: number
  /** Chunks after which nothing comes any more. */
  readonly hangsAfter?: number
  readonly refuses?: DispatchFailure
  /** It takes the call and is not heard in time. */
  readonly silent?: boolean
}

const broke = (backend: Backend) => new BackendFailed({ backend, cause: new Error("broke") })
const everyWord = Array.from({ length: 8 }, (_, i) => i * wordBytes)

const dispatchedOf = (script: Script, backend: Backend, text: string): Dispatched => {
  const speech = cut(speechOf(script.speaker ?? "kal", text), script.ends ?? everyWord).map((chunk) =>
    script.words === "none" ? { ...chunk, words: [] } : chunk
  )
  const until = script.breaksAfter ?? script.hangsAfter
  const said = Stream.fromIterable(speech.slice(0, until), { chunkSize: 1 })
  const rest = script.breaksAfter !== undefined
    ? Stream.fail(broke(backend))
    : script.hangsAfter !== undefined
    ? Stream.never
    : Stream.empty
  return {
    backend,
    nodeId: backend === "A" ? "node" : null,
    engine: "flite",
    model: "flite 2.3",
    sampleRate,
    ignoredParams: [],
    deterministic: backend === "A",
    audio: Stream.concat(said, rest),
    ...script.says
  }
}

interface Setting {
  readonly first: Script
  /** Nodes besides, in the order in which they are asked. */
  readonly nodes?: ReadonlyArray<Script>
  readonly relay?: Script
  readonly sameSpeaker?: boolean
}

/** Everything about one call. `open`: attempts that nobody has stopped. */
const setUp = (setting: Setting) => {
  const nodes = [...(setting.nodes ?? [])]
  const asked: Array<string> = []
  const notes: Array<string> = []
  let open = 0
  let mostOpen = 0
  const attempt = (script: Script, backend: Backend, text: string, firstAudioMsMax: number) =>
    hear(
      Effect.gen(function*() {
        if (script.refuses !== undefined) return yield* script.refuses
        yield* Effect.acquireRelease(
          Effect.sync(() => mostOpen = Math.max(mostOpen, ++open)),
          () => Effect.sync(() => open--)
        )
        if (script.silent === true) {
          yield* Effect.sleep(firstAudioMsMax)
          return yield* new BackendTimeout({ backend, waitedMs: firstAudioMsMax })
        }
        return dispatchedOf(script, backend, text)
      }),
      backend,
      firstAudioMsMax
    )
  const route: Route = {
    candidates: setting.relay === undefined ? ["A"] : ["A", "B"],
    tried: new Set(),
    otherNodes: () => nodes.length,
    note: (sentence) => notes.push(sentence),
    attempt: (backend, text, { firstAudioMsMax }) => {
      asked.push(`${backend}: ${text}`)
      return attempt(backend === "A" ? nodes.shift()! : setting.relay!, backend, text, firstAudioMsMax)
    }
  }
  const heard = Effect.gen(function*() {
    const first: Heard = yield* attempt(setting.first, "A", text, waitMillis)
    return takingOver(first, yield* Effect.scope, {
      route,
      text,
      language: "en",
      voice: voice({
        preset: { engine: "flite", name: "kal" },
        relaySpeaker: setting.sameSpeaker === false ? "nova" : "kal"
      }),
      firstAudioMsMax: waitMillis,
      onTakeover: () => {}
    })
  })
  return { heard, asked, notes, open: () => open, mostOpen: () => mostOpen }
}

/** What a listener gets. */
const listen = Effect.fnUntraced(function*(setting: Setting) {
  const call = setUp(setting)
  const chunks: Array<PcmChunk> = []
  const exit = yield* Effect.scoped(Effect.gen(function*() {
    const { first, pull } = yield* call.heard
    chunks.push(...first)
    return yield* Stream.fromPull(Effect.succeed(pull)).pipe(
      Stream.runForEach((chunk) => Effect.sync(() => chunks.push(chunk)))
    )
  })).pipe(Effect.exit)
  assert.equal(call.open(), 0, "everything was stopped")
  return {
    ...call,
    pcm: Buffer.concat(chunks.map(({ pcm }) => pcm)),
    words: chunks.flatMap(({ words }) => words),
    failure: Exit.isFailure(exit) ? (exit.cause.reasons[0] as { error?: DispatchRefusal }).error : undefined
  }
})

const whole = speechOf("kal", text)
/** Words that were heard of a speech, as bytes. */
const beginning = (words: number) => Buffer.from(whole.pcm.subarray(0, words * wordBytes))
const noWordOfIt = { refuses: new BackendUnavailable({ reasons: [] }) }
const otherModel = { says: { model: "flite 2.4" } }
const anyVoice = { says: { deterministic: false } }

describe("takingOver", () => {
  it.effect.each<[string, Setting]>([
    ["another node", { first: { breaksAfter: 3 }, nodes: [{}] }],
    ["another node, cut in other chunks", { first: { breaksAfter: 3 }, nodes: [{ ends: [2, 450, 452, 1000] }] }],
    ["another node, after the first chunk", { first: { breaksAfter: 1 }, nodes: [{ ends: [] }] }],
    ["another node, after the last chunk", { first: { breaksAfter: 8 }, nodes: [{}] }],
    ["another node, and another one", { first: { breaksAfter: 2 }, nodes: [{ breaksAfter: 5 }, {}] }],
    ["another node when the next one is full", {
      first: { breaksAfter: 2 },
      nodes: [{ refuses: new BackendSaturated({ backend: "A", retryAfter: 1 }) }, {}]
    }],
    ["another node when the next one breaks before it comes to where the first one was", {
      first: { breaksAfter: 5 },
      nodes: [{ breaksAfter: 2 }, {}]
    }],
    ["another node when the next one has another model", { first: { breaksAfter: 5 }, nodes: [otherModel, {}] }]
  ])("gives every sample and word once, without a seam, from %s", ([, setting]) =>
    Effect.gen(function*() {
      const { asked, failure, mostOpen, notes, pcm, words } = yield* listen(setting)
      assert.equal(failure, undefined)
      assert.ok(pcm.equals(whole.pcm))
      assert.deepEqual(words, whole.words)
      assert.ok(asked.every((what) => what === `A: ${text}`))
      assert.equal(mostOpen(), 1, "the broken one is stopped before another one is asked")
      assert.match(notes.join(" "), /broke after \d+ ms.*without a seam/u)
    }))

  it.effect.each<[string, Setting, heard: number, rest: string, by: Backend]>([
    [
      "another node, where the engine never says the same twice",
      { first: { ...anyVoice, breaksAfter: 2 }, nodes: [anyVoice] },
      2,
      "Four five six. Seven eight.",
      "A"
    ],
    [
      "the relay's same speaker, where there is no other node",
      { first: { breaksAfter: 4 }, relay: {} },
      4,
      "Seven eight.",
      "B"
    ],
    [
      "the relay's same speaker, where no other node goes on",
      { first: { breaksAfter: 4 }, nodes: [noWordOfIt], relay: {} },
      4,
      "Seven eight.",
      "B"
    ],
    [
      "the relay's same speaker, where the other node breaks before it comes there",
      { first: { breaksAfter: 4 }, nodes: [{ breaksAfter: 2 }], relay: {} },
      4,
      "Seven eight.",
      "B"
    ],
    [
      "a node with that model, where another one has another",
      { first: { ...anyVoice, breaksAfter: 1 }, nodes: [{ ...anyVoice, ...otherModel }], relay: {} },
      1,
      "Four five six. Seven eight.",
      "B"
    ]
  ])("has the next sentence from %s", ([, setting, heard, rest, by]) =>
    Effect.gen(function*() {
      const { asked, failure, mostOpen, notes, pcm, words } = yield* listen(setting)
      assert.equal(failure, undefined)
      const spoken = speechOf("kal", rest)
      assert.ok(pcm.equals(Buffer.concat([beginning(heard), spoken.pcm])), "a beginning, and then whole sentences")
      assert.deepEqual(words, [
        ...whole.words.slice(0, heard),
        ...spoken.words.map((word) => ({
          ...word,
          startMs: word.startMs + heard * wordMillis,
          endMs: word.endMs + heard * wordMillis
        }))
      ])
      assert.equal(asked.at(-1), `${by}: ${rest}`)
      assert.equal(mostOpen(), 1)
      assert.match(notes.join(" "), /the rest of the broken one is lost/u)
    }))

  it.effect.each<[string, Setting, heard: number]>([
    ["there is nobody else", { first: { breaksAfter: 3 } }, 3],
    ["the other node has another model", { first: { breaksAfter: 3 }, nodes: [otherModel] }, 3],
    ["the other node has another rate", { first: { breaksAfter: 3 }, nodes: [{ says: { sampleRate: 2000 } }] }, 3],
    ["the relay has another rate", { first: { breaksAfter: 3 }, relay: { says: { sampleRate: 2000 } } }, 3],
    ["the relay has another speaker", { first: { breaksAfter: 3 }, relay: {}, sameSpeaker: false }, 3],
    ["no word times tell where it was", { first: { breaksAfter: 3, words: "none" }, relay: {} }, 3],
    ["it was in its last sentence", { first: { breaksAfter: 7 }, relay: {} }, 7],
    ["others break again and again", {
      first: { breaksAfter: 1 },
      nodes: Array.from({ length: 4 }, () => ({ breaksAfter: 2 }))
    }, 2]
  ])("fails with what broke when %s", ([, setting, heard]) =>
    Effect.gen(function*() {
      const { failure, pcm } = yield* listen(setting)
      assert.equal(failure?._tag, "BackendFailed")
      assert.ok(pcm.equals(beginning(heard)), "what was heard, and nothing after it")
    }))

  it.effect.each<[string, Script]>([
    ["says other samples", { speaker: "slt" }],
    ["ends before it comes to where the first one was", {
      says: { audio: Stream.make({ pcm: whole.pcm.subarray(0, 2 * wordBytes), words: [] }) }
    }]
  ])("fails loudly when a node with the same model %s", ([, script]) =>
    Effect.gen(function*() {
      const { asked, failure, pcm } = yield* listen({ first: { breaksAfter: 3 }, nodes: [script, {}], relay: {} })
      assert.equal(failure?._tag, "BackendFailed")
      assert.match(String((failure as BackendFailed).cause), /other samples/u)
      assert.equal(asked.length, 1, "nobody else is asked: no node of that model can be trusted")
      assert.ok(pcm.equals(beginning(3)))
    }))

  it.effect("asks at most twice for one call", () =>
    Effect.gen(function*() {
      const { asked } = yield* listen({
        first: { breaksAfter: 1 },
        nodes: Array.from({ length: 5 }, () => ({ breaksAfter: 2 }))
      })
      assert.equal(asked.length, 2)
    }))

  it.effect("shares one wait for a first audio between all that are asked at one break", () =>
    Effect.gen(function*() {
      const listening = yield* Effect.forkChild(listen({
        first: { breaksAfter: 3 },
        nodes: [{ silent: true }, { silent: true }, { silent: true }],
        relay: { silent: true }
      }))
      yield* TestClock.adjust(waitMillis)
      const { asked, failure } = yield* Fiber.join(listening)
      assert.equal(failure?._tag, "BackendFailed")
      assert.deepEqual(asked.map((what) => what[0]), ["A", "A", "A", "B"])
    }))

  it.effect("never holds what was put together from two speeches against one of them", () =>
    Effect.gen(function*() {
      const { failure, pcm } = yield* listen({
        first: { ...anyVoice, breaksAfter: 1 },
        nodes: [{ breaksAfter: 1 }, {}]
      })
      assert.equal(failure, undefined)
      const between = speechOf("kal", "Four five six. Seven eight.").pcm.subarray(0, wordBytes)
      assert.ok(pcm.equals(Buffer.concat([beginning(1), between, speechOf("kal", "Seven eight.").pcm])))
    }))

  it.effect("leaves nothing open when the listener goes while another node catches up", () =>
    Effect.gen(function*() {
      const call = setUp({ first: { breaksAfter: 3 }, nodes: [{ hangsAfter: 1 }] })
      const caughtUp = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const { pull } = yield* Scope.provide(call.heard, scope)
      const listening = yield* Effect.forkChild(
        Effect.andThen(
          Stream.fromPull(Effect.succeed(pull)).pipe(Stream.runDrain),
          Deferred.succeed(caughtUp, undefined)
        )
      )
      yield* Effect.repeat(Effect.yieldNow, { until: () => call.asked.length === 1 && call.open() === 1 })
      yield* Fiber.interrupt(listening)
      yield* Scope.close(scope, Exit.void)
      assert.equal(call.open(), 0)
      assert.equal(yield* Deferred.isDone(caughtUp), false)
    }))

  const Ends = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: whole.pcm.length / 2 - 1 })))
  const Chunks = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))
  const bytesOf = (ends: ReadonlyArray<number>) => ends.map((sample) => 2 * sample)
  it.effect.prop(
    "gives the very samples and words, wherever the speech is cut and wherever it breaks",
    [Ends, Chunks, Ends, Chunks, Ends],
    ([ends, breaksAfter, otherEnds, breaksAgainAfter, lastEnds]) =>
      Effect.gen(function*() {
        const { failure, pcm, words } = yield* listen({
          first: { ends: bytesOf(ends), breaksAfter },
          nodes: [{ ends: bytesOf(otherEnds), breaksAfter: breaksAgainAfter }, { ends: bytesOf(lastEnds) }]
        })
        assert.equal(failure, undefined)
        assert.ok(pcm.equals(whole.pcm))
        assert.deepEqual(words, whole.words)
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("restAfter", () => {
  const { words } = whole
  it.each<[string, ReadonlyArray<SpokenWord>, number, string | undefined]>([
    ["in the first sentence", words, 50, "Four five six. Seven eight."],
    ["at the end of the first sentence", words, 300, "Four five six. Seven eight."],
    ["in the second sentence", words, 301, "Seven eight."],
    ["in the last sentence", words, 650, undefined],
    ["after the end", words, 800, undefined],
    ["before the first word", words, 0, undefined],
    ["no words", [], 500, undefined],
    ["estimated words only", words.map((word) => ({ ...word, source: "estimated" as const })), 500, undefined],
    ["a word that the text does not have", [{ ...words[0]!, text: "uno" }], 500, undefined]
  ])("%s", (_, words, atMs, rest) => assert.equal(restAfter(text, words, atMs, "en"), rest))

  it("tells words apart that come again", () => {
    const again = "So it is. So it was. So it stays."
    const { words } = speechOf("kal", again)
    assert.equal(restAfter(again, words, 350, "en"), "So it stays.")
  })
})
