/** Clients that mean harm, or are broken: each ends with the right code, and everything that it took is given back. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import assert from "node:assert/strict"
import { VoiceId } from "../../../src/domain/Ids.ts"
import { RunningVoices } from "../../../src/services/RunningVoices.ts"
import { TestServer, until } from "../../layers/TestServer.ts"
import { frame, opcode } from "./RawClient.ts"
import type { RawClient } from "./RawClient.ts"
import { allFreed, connected, opened, openFrame } from "./Session.ts"

const fibers = Effect.map(
  Metric.snapshot,
  (all) => (all.find(({ id }) => id === "child_fibers_active")!.state as { readonly value: number }).value
)

/** What the server holds after it and before it is the same. */
const frees = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    yield* allFreed
    const before = yield* settled(fibers)
    const result = yield* effect
    yield* allFreed
    const after = yield* until(fibers, (now) => now <= before)
    assert.ok(after <= before, `${after} fibers, ${before} before`)
    return result
  })

/** Until it says the same twice in a row. */
const settled = (count: Effect.Effect<number>) => {
  let last = -1
  return until(Effect.delay(count, 20), (now) => {
    const same = now === last
    last = now
    return same
  })
}

const closed = (client: RawClient) => until(Effect.sync(() => client.closed), (closed) => closed)
const speaking = (client: RawClient) => until(Effect.sync(() => client.audio.length), (frames) => frames > 0)

const text = (delta: string) => ({ type: "text", delta })
const twentyKeepalives = Array.from({ length: 21 }, () => ({ type: "keepalive" }))

interface Case {
  readonly does: string
  readonly act: (client: RawClient) => void
  readonly code: number
  /** Of the `error` frame that comes before the close; none when the WebSocket protocol itself is broken. */
  readonly error?: string
  /** Whether a session is open when it does. */
  readonly opened?: boolean
}

const flood = (client: RawClient, bytes: Buffer, times: number) => {
  for (let i = 0; i < times; i += 100) client.raw(Buffer.concat(Array.from({ length: 100 }, () => bytes)))
}

const cases: ReadonlyArray<Case> = [
  { does: "speaks before it opens", act: (c) => c.say(text("Hi.")), code: 4400, error: "VALIDATION_ERROR" },
  {
    does: "opens nothing that is there",
    act: (c) => c.say(openFrame("absent")),
    code: 4404,
    error: "SCAISPEAK_VOICE_NOT_FOUND"
  },
  { does: "opens with what is no open", act: (c) => c.say({ type: "open" }), code: 4400, error: "VALIDATION_ERROR" },
  { does: "opens with no JSON", act: (c) => c.say("{"), code: 4400, error: "VALIDATION_ERROR" },
  { does: "opens with binary", act: (c) => c.raw(frame(opcode.binary, "{}")), code: 4400, error: "VALIDATION_ERROR" },
  {
    does: "opens a session that is not its own",
    act: (c) => c.say(openFrame("spell", { resume: { session_id: "ses_other", token: "x", last_seq: 0 } })),
    code: 4404,
    error: "SCAISPEAK_SESSION_NOT_FOUND"
  },
  {
    does: "opens twice at once",
    act: (c) => c.say(openFrame("spell"), openFrame("spell")),
    code: 4400,
    error: "VALIDATION_ERROR"
  },
  { does: "opens twice", opened: true, act: (c) => c.say(openFrame("spell")), code: 4400, error: "VALIDATION_ERROR" },
  {
    does: "sends binary",
    opened: true,
    act: (c) => c.raw(frame(opcode.binary, "audio?")),
    code: 4400,
    error: "VALIDATION_ERROR"
  },
  {
    does: "sends an unknown frame",
    opened: true,
    act: (c) => c.say({ type: "sing" }),
    code: 4400,
    error: "VALIDATION_ERROR"
  },
  {
    does: "sends 1-byte frames at full speed",
    act: (c) => flood(c, frame(opcode.text, "x"), 100_000),
    code: 4400,
    error: "VALIDATION_ERROR"
  },
  {
    does: "sends 1-byte frames at full speed into a session",
    opened: true,
    act: (c) => flood(c, frame(opcode.text, "{"), 100_000),
    code: 4400,
    error: "VALIDATION_ERROR"
  },
  {
    does: "sends one frame in 1-byte fragments",
    opened: true,
    act: (c) => {
      c.raw(frame(opcode.text, "{", { fin: false }))
      flood(c, frame(opcode.continuation, "x", { fin: false }), 20_000)
    },
    code: 1008
  },
  {
    does: "sends empty fragments without end",
    opened: true,
    act: (c) => {
      c.raw(frame(opcode.text, "", { fin: false }))
      flood(c, frame(opcode.continuation, "", { fin: false }), 20_000)
    },
    code: 1008
  },
  {
    does: "sends a frame of 64 KiB and a byte",
    opened: true,
    act: (c) => c.raw(frame(opcode.text, "x".repeat(65_537))),
    code: 1009
  },
  {
    does: "says that a frame of 1 TB comes",
    opened: true,
    act: (c) => c.raw(frame(opcode.text, "x", { claims: 2 ** 40 })),
    code: 1009
  },
  {
    does: "sends more than 64 KiB in fragments",
    opened: true,
    act: (c) => {
      c.raw(frame(opcode.text, "x".repeat(60_000), { fin: false }))
      c.raw(frame(opcode.continuation, "x".repeat(60_000)))
    },
    code: 1009
  },
  { does: "opens with a huge frame", act: (c) => c.raw(frame(opcode.text, "x".repeat(100_000))), code: 1009 },
  {
    does: "sends what is no UTF-8",
    opened: true,
    act: (c) => c.raw(frame(opcode.text, Buffer.from([0x22, 0xc3, 0x28, 0x22]))),
    code: 1007
  },
  { does: "opens with what is no UTF-8", act: (c) => c.raw(frame(opcode.text, Buffer.from([0xff, 0xfe]))), code: 1007 },
  { does: "does not mask", opened: true, act: (c) => c.raw(frame(opcode.text, "{}", { masked: false })), code: 1002 },
  { does: "uses an opcode that there is not", opened: true, act: (c) => c.raw(frame(3, "{}")), code: 1002 },
  {
    does: "uses an extension that there is not",
    opened: true,
    act: (c) => c.raw(frame(opcode.text, "{}", { rsv: 0x40 })),
    code: 1002
  },
  {
    does: "goes on with what it did not begin",
    opened: true,
    act: (c) => c.raw(frame(opcode.continuation, "{}")),
    code: 1002
  },
  {
    does: "flushes 10 000 times",
    opened: true,
    act: (c) => flood(c, frame(opcode.text, "{\"type\":\"flush\"}"), 10_000),
    code: 4429,
    error: "RATE_LIMITED"
  },
  {
    does: "interrupts 10 000 times",
    opened: true,
    act: (c) => flood(c, frame(opcode.text, "{\"type\":\"interrupt\"}"), 10_000),
    code: 4429,
    error: "RATE_LIMITED"
  },
  {
    does: "keeps alive 21 times in a second",
    opened: true,
    act: (c) => c.say(...twentyKeepalives),
    code: 4429,
    error: "RATE_LIMITED"
  },
  {
    does: "pings 10 000 times",
    opened: true,
    act: (c) => flood(c, frame(opcode.ping, ""), 10_000),
    code: 4429,
    error: "RATE_LIMITED"
  },
  {
    does: "sends more text than may wait",
    opened: true,
    act: (c) => c.say(text("Never. "), text("a".repeat(8000))),
    code: 4400,
    error: "VALIDATION_ERROR"
  },
  {
    does: "sends text for ever, once it has closed",
    opened: true,
    act: (c) => {
      c.say(text("A last word."), { type: "close" })
      flood(c, frame(opcode.text, "{\"type\":\"text\",\"delta\":\"a\"}"), 20_000)
    },
    code: 1000
  }
]

const Server = TestServer.layer({
  SCAISPEAK_STREAM_RESUME_MS: "100",
  SCAISPEAK_STREAM_WRITE_MS: "2000",
  SCAISPEAK_SOCKET_PING_MS: "1000"
}).pipe(Layer.provideMerge(Metric.enableRuntimeMetricsLayer))

layer(Server, { excludeTestServices: true })("a client that", (it) => {
  for (const { act, code, does, error, opened: needsSession } of cases) {
    it.effect(`${does}: ${code}`, () =>
      frees(Effect.scoped(Effect.gen(function*() {
        const client = yield* needsSession ? opened("spell") : connected()
        act(client)
        yield* closed(client)
        assert.equal(client.code, code, client.reason)
        const last = client.texts.at(-1)
        if (error === undefined) assert.notEqual(last?.type, "error")
        else assert.deepEqual([last?.type, last?.code, client.reason], ["error", error, error])
      }))))
  }
})

/** Everything that a session may be in when its socket goes. */
const states: Record<string, (client: RawClient) => Effect.Effect<unknown, never, TestServer>> = {
  "nothing was said": () => Effect.void,
  "it opens": (client) => Effect.sync(() => client.say(openFrame("forever"))),
  "it is ready": (client) => ready(client, "forever"),
  "a backend is asked": (client) =>
    Effect.andThen(ready(client, "mute"), speak(client, ({ node }) => until(Effect.sync(node.open), (n) => n > 0))),
  "it speaks": (client) => Effect.andThen(ready(client, "steady"), speak(client, () => speaking(client))),
  "it is paused": (client) =>
    Effect.andThen(
      ready(client, "steady"),
      speak(client, () => Effect.andThen(speaking(client), Effect.sync(() => client.say({ type: "pause" }))))
    ),
  "it was interrupted": (client) =>
    Effect.andThen(
      ready(client, "steady"),
      speak(client, () => Effect.andThen(speaking(client), Effect.sync(() => client.say({ type: "interrupt" }))))
    ),
  "it closes": (client) =>
    Effect.andThen(
      ready(client, "steady"),
      speak(client, () => Effect.andThen(speaking(client), Effect.sync(() => client.say({ type: "close" }))))
    ),
  "it is over": (client) => Effect.andThen(ready(client, "spell"), Effect.sync(() => client.say({ type: "close" }))),
  "it does not read": (client) =>
    Effect.andThen(
      ready(client, "forever"),
      speak(client, () => Effect.andThen(speaking(client), Effect.sync(() => client.tcp.pause())))
    )
}

const ready = (client: RawClient, voice: string) =>
  Effect.andThen(
    Effect.sync(() => client.say(openFrame(voice))),
    until(Effect.sync(() => client.of("ready").length), (ready) => ready === 1)
  )
const speak = (client: RawClient, then: (server: TestServer["Service"]) => Effect.Effect<unknown>) =>
  Effect.andThen(
    Effect.sync(() => client.say(text("Anything. And more."), { type: "flush" })),
    Effect.flatMap(TestServer, then)
  )

const goodbyes: Record<string, (client: RawClient) => void> = {
  "says goodbye": (client) => client.leave(),
  "hangs up": (client) => client.tcp.end(),
  "is torn away": (client) => client.tcp.resetAndDestroy()
}

layer(Server, { excludeTestServices: true })("a client that", (it) => {
  for (const [goodbye, leave] of Object.entries(goodbyes)) {
    it.effect(`${goodbye} leaves nothing, whether ${Object.keys(states).join(", ")}`, () =>
      frees(Effect.scoped(Effect.gen(function*() {
        const clients = yield* Effect.forEach(Object.values(states), (reach) => Effect.tap(connected(), reach), {
          concurrency: "unbounded"
        })
        for (const client of clients) {
          leave(client)
          client.tcp.resume()
        }
        yield* allFreed
      }))))
  }

  it.effect("never reads stops the reading of its engine, in bounded memory, and is told why once it does", () =>
    frees(Effect.scoped(Effect.gen(function*() {
      const { node } = yield* TestServer
      const client = yield* opened("forever")
      client.tcp.pause()
      client.answersPings = false
      const before = { bytes: node.written(), rss: process.memoryUsage().rss }
      client.say(text("Anything."), { type: "flush" })
      const keepalive = setInterval(() => client.say({ type: "keepalive" }), 300)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(keepalive)))
      const written = yield* settled(Effect.delay(Effect.sync(node.written), 150))
      const grownMb = (process.memoryUsage().rss - before.rss) / 2 ** 20
      console.log(
        `${written - before.bytes} bytes were read of an engine that does not end; ${grownMb.toFixed(0)} MB more`
      )
      // 30 s of 32 000 bytes a second wait in the session; the rest is what the kernel and gRPC hold.
      assert.ok(written - before.bytes < 960_000 + 16_000_000, `${written - before.bytes}`)
      assert.ok(grownMb < 100, `${grownMb} MB`)
      assert.equal(node.open(), 1)
      yield* until(Effect.sync(node.open), (calls) => calls === 0)
      client.tcp.resume()
      yield* closed(client)
      assert.deepEqual([client.texts.at(-1).code, client.code], ["SCAISPEAK_CLIENT_TOO_SLOW", 4408])
    }))))

  it.effect("is gone without a word is noticed", () =>
    frees(Effect.scoped(Effect.gen(function*() {
      const client = yield* opened("spell")
      client.answersPings = false
      yield* closed(client)
      assert.ok(client.pings > 0)
      assert.equal(client.code, undefined)
    }))))

  it.effect("does not answer a close is not waited for", () =>
    frees(Effect.scoped(Effect.gen(function*() {
      const client = yield* opened("spell")
      client.answersClose = false
      client.say({ type: "close" })
      yield* closed(client)
      assert.equal(client.code, 1000)
    }))))

  for (const reads of [true, false]) {
    it.effect(`${reads ? "reads" : "does not read"} hears no more of a voice that is stopped`, () =>
      frees(Effect.scoped(Effect.gen(function*() {
        const { context, node } = yield* TestServer
        const client = yield* opened(reads ? "steady" : "forever")
        client.say(text("Anything."), { type: "flush" })
        yield* speaking(client)
        if (!reads) {
          client.tcp.pause()
          yield* settled(Effect.delay(Effect.sync(node.written), 150))
        }
        const before = performance.now()
        yield* Context.get(context, RunningVoices).stop(
          VoiceId.make(`vox_scripted_${reads ? "steady" : "forever"}`),
          "consent revoked"
        )
        yield* until(Effect.sync(node.open), (calls) => calls === 0)
        assert.ok(performance.now() - before < 1000)
        client.tcp.resume()
        yield* closed(client)
        if (reads) assert.deepEqual([client.texts.at(-1).code, client.code], ["SCAISPEAK_VOICE_NOT_READY", 4409])
        // What lay in buffers was not worth waiting for.
        else assert.equal(client.code, undefined)
      }))))
  }
})
