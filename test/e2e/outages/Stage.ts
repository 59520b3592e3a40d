/**
 * The service in the tests' process over two node programs and a relay program that can be killed, paused and started
 * again, with sixty-four callers at its door. `phase` lets them call while something happens, waits until nothing runs any
 * more, and judges every reply.
 */
import { Context, Effect, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Ledger } from "../../../src/services/Ledger.ts"
import { NodeRegistry } from "../../../src/services/NodeRegistry.ts"
import { VoiceRepo } from "../../../src/services/VoiceRepo.ts"
import { get, idle, send, TestServer, until } from "../../layers/TestServer.ts"
import * as Restartable from "../../programs/Restartable.ts"
import { makeCalls } from "./Call.ts"
import type { Call } from "./Call.ts"
import { callers, speakerOf, tenants, voiceIdOf, voices } from "./Cast.ts"
import type { Caller, TenantName } from "./Cast.ts"
import type { Phase } from "./Table.ts"
import { judge } from "./Verdict.ts"
import type { Outcome, Row } from "./Verdict.ts"

/** ms. Halves of the first are what one attempt gets: enough for sixty-four on two busy cores. */
export const firstAudioMillis = 8_000
export const chunkMillis = 3_000
/** What a busy machine may add to a deadline, ms. */
const slackMillis = 1_500
/** As in `Takeover.ts`. */
const takeoversMax = 2

/** A call is refused or heard by then. */
const answerMillisMax = firstAudioMillis + slackMillis
/** A backend falls silent, another one is asked, and falls silent while it comes to where the first one was; and again. */
const silenceMillisMax = (takeoversMax + 1) * chunkMillis + takeoversMax * firstAudioMillis + slackMillis
/** A refused caller waits so long, ms. */
const retryMillis = 250
/** Turns of the event loop that a request and the head of its reply wait for. */
const lateTurns = 4
const nanosPerMilli = 1e6
/** Callers start within this time, ms. */
const staggerMillis = 1_000

const capacity = 64

class Relay extends Context.Service<Relay, { readonly program: Restartable.Restartable; readonly port: string }>()(
  "test/outages/Relay"
) {
  static readonly layer = Layer.effect(
    Relay,
    Effect.gen(function*() {
      const program = yield* Restartable.make("test/programs/twinRelay.ts")
      return { program, port: yield* program.start(["0"]) }
    })
  )
}

const Service = Layer.unwrap(
  Effect.map(Relay, ({ port }) =>
    TestServer.layer({
      SCAISPEAK_RELAY_KIND: "openai",
      SCAISPEAK_RELAY_URL: `http://127.0.0.1:${port}/v1`,
      SCAISPEAK_RELAY_MODEL: "twin",
      SCAISPEAK_FIRST_AUDIO_TIMEOUT_MS: String(firstAudioMillis),
      SCAISPEAK_CHUNK_TIMEOUT_MS: String(chunkMillis),
      SCAISPEAK_BREAKER_FAILURES: "3",
      SCAISPEAK_BREAKER_OPEN_MS: "200"
    }))
).pipe(Layer.provideMerge(Relay.layer))

/** A node program on a port that stays its own. */
const makeNode = Effect.gen(function*() {
  const program = yield* Restartable.make("src/main.ts", "node", "--embedded", "--listen")
  const env = (calls: number) => ({ SCAISPEAK_NODE_CAPACITY: String(calls), SCAISPEAK_LOG_LEVEL: "none" })
  const { address } = JSON.parse(yield* program.start(["127.0.0.1:0"], env(capacity))) as { address: string }
  return {
    ...program,
    address,
    /** `calls`: what it speaks at once; as many may wait. */
    start: (calls = capacity) => Effect.asVoid(program.start([address], env(calls)))
  }
})

const make = Effect.gen(function*() {
  const { counters, context, key, url } = yield* TestServer
  const relay = yield* Relay
  const registry = Context.get(context, NodeRegistry)
  const sql = Context.get(context, SqlClient.SqlClient)
  const ledger = Context.get(context, Ledger)

  const [one, two] = yield* Effect.all([makeNode, makeNode], { concurrency: 2 })
  yield* registry.watch(one.address)
  yield* registry.watch(two.address)
  const nodeOf = (address: string) => registry.nodes().find((node) => node.address === address)!
  const isReady = (address: string, calls: number) => {
    const node = nodeOf(address)
    return node.tier === "healthy" && !node.tripped && node.capacity === calls
  }
  /** Both nodes take calls again, with these capacities. */
  const nodesReady = (ofOne = capacity, ofTwo = capacity) =>
    until(Effect.sync(() => isReady(one.address, ofOne) && isReady(two.address, ofTwo)), (ready) => ready)

  const keys: Record<string, string> = { clerk: yield* key("clerk", "root", "tenant_admin") }
  yield* send("PUT", `${url}/admin/policy`, { allowed_backends: ["A"], default_backend: "A" }, keys["clerk"])
  for (const [tenant, { allowed }] of Object.entries(tenants)) {
    keys[tenant] = yield* key(tenant, "root", "tenant_admin")
    const policy = { allowed_backends: allowed, default_backend: allowed[0] }
    const { status } = yield* send("PUT", `${url}/admin/policy`, policy, keys[tenant])
    assert.equal(status, 200)
  }

  yield* Context.get(context, VoiceRepo).syncPresets(
    (["vox_both_kal16", "vox_both_oboe"] as const).map((voice) => ({
      voiceId: voiceIdOf(voice),
      displayName: voice,
      description: "",
      gender: "neutral" as const,
      languages: ["en"],
      styleTags: [],
      preset: { engine: "flite", name: voices[voice].A },
      relaySpeaker: voices[voice].B
    }))
  )
  for (const voice of Object.keys(voices)) {
    yield* until(get(`${url}/voices/${voice}`, keys["clerk"]), ({ status }) => status === 200)
  }
  yield* nodesReady()

  const calls = makeCalls(url, keys)

  /** Each text of A as a node says it undisturbed, one after the other. */
  const spoken = new Map<string, Buffer>()
  for (const { text, voice } of callers) {
    const speaker = speakerOf(voice, "A")
    if (speaker === undefined || spoken.has(speaker + text)) continue
    const body = { text, voice_id: `vox_flite_${speaker}`, response_format: "pcm" }
    const { bytes, status } = yield* send("POST", `${url}/speak`, body, keys["clerk"])
    assert.equal(status, 200)
    assert.ok(bytes.length > 10 * 16_000 * 2, "a text is some twenty seconds long")
    spoken.set(speaker + text, bytes)
  }
  const reference = (speaker: string, text: string) => spoken.get(speaker + text)!

  /** Records of calls begun since then, epoch ms; all of them are written by now. */
  const rowsSince = (since: number) =>
    Effect.andThen(
      until(ledger.depth, (depth) => depth === 0),
      Effect.orDie(sql<Row>`
        SELECT synthesis_id, tenant_id, voice_id, backend, node_id, outcome, error_code, routing, created_at, total_ms, first_audio_ms
        FROM usage_records WHERE created_at >= ${since}`)
    )

  const phases: Array<Phase> = []
  /** Calls of this phase that are over. */
  let ended: Array<Call> = []

  /** All call, again and again, until `happening` is over; then what is under way ends by itself. */
  const phase = Effect.fnUntraced(function*<E, R>(name: string, happening: Effect.Effect<unknown, E, R>) {
    const since = Date.now()
    const lag = monitorEventLoopDelay({ resolution: 10 })
    lag.enable()
    ended = []
    // One connection is accepted a turn of the event loop: they are there before they are needed.
    yield* Effect.promise(() =>
      Promise.all(callers.map(() => fetch(`${url}/healthz`).then((reply) => reply.arrayBuffer())))
    )
    let over = false
    let openMost = 0
    const callAgain = async (caller: Caller, place: number) => {
      await new Promise((resolve) => setTimeout(resolve, (place / callers.length) * staggerMillis))
      while (!over) {
        const call = await calls.speak(caller)
        ended.push(call)
        if (call.status !== 200) await new Promise((resolve) => setTimeout(resolve, retryMillis))
      }
    }
    const calling = yield* Effect.forkChild(
      Effect.promise(() => Promise.all(callers.map((caller, place) => callAgain(caller, place))))
    )
    const watching = yield* Effect.forkChild(
      Effect.forever(
        Effect.andThen(Effect.sleep(20), Effect.sync(() => openMost = Math.max(openMost, calls.open.size)))
      )
    )
    yield* happening
    over = true
    yield* Fiber.join(calling).pipe(Effect.timeout(answerMillisMax + 2 * silenceMillisMax))
    yield* Fiber.interrupt(watching)
    yield* idle
    assert.deepEqual(yield* counters, { holds: 0, nodeCalls: 0, relayCalls: 0, encoders: 0, engine: 0 })

    const rows = yield* rowsSince(since)
    const rowOf = new Map(rows.map((row) => [row.synthesis_id, row]))
    for (const { first_audio_ms, tenant_id, total_ms } of rows) {
      const waited = first_audio_ms ?? total_ms
      assert.ok(waited <= answerMillisMax, `${waited} ms until the first audio of ${tenant_id} or a refusal`)
    }
    // Request and reply are each carried by turns of an event loop that the machine may hold up.
    const late = lateTurns * (lag.max / nanosPerMilli)
    const counts = new Map<Outcome, number>()
    for (const call of ended) {
      const outcome = judge(call, rowOf.get(call.synthesisId ?? ""), reference)
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      const { answeredMillis, caller, silenceMillis } = call
      assert.ok(answeredMillis <= answerMillisMax + late, `${answeredMillis} ms until ${caller.tenant} was answered`)
      assert.ok(silenceMillis <= silenceMillisMax + late, `${silenceMillis} ms of silence for ${caller.tenant}`)
    }
    const it = { name, calls: ended, counts, openMost, rows, count: (outcome: Outcome) => counts.get(outcome) ?? 0 }
    phases.push(it)
    return it
  })

  /** Calls that run on a node of that address now. */
  const running = (address: string) => nodeOf(address).running
  const isAway = (address: string) => nodeOf(address).tier === "stale"

  const is = (condition: () => boolean) => until(Effect.sync(condition), (met) => met)
  const allCalling = is(() => calls.open.size === callers.length)
  /** All call at once, and enough have been heard in part that some are in the middle of a sentence, on either node. */
  const midSpeech = is(() =>
    calls.open.size === callers.length && running(one.address) >= 4 && running(two.address) >= 4 &&
    [...calls.open].filter(({ backend, heard }) => backend === "A" && heard > 0).length >= 12
  )
  /** A call has come to that end in this phase. */
  const seen = (what: (call: Call) => boolean) => is(() => ended.some(what))

  return {
    one,
    two,
    relay: {
      ...relay.program,
      start: Effect.asVoid(relay.program.start([relay.port])),
      trouble: (on: boolean) => send("POST", `http://127.0.0.1:${relay.port}/trouble/${on ? "on" : "off"}`, ""),
      /** All that it was ever asked. */
      asked: () =>
        relay.program.lines.map((line) => JSON.parse(line) as { requestId: string; text: string; speaker: string })
    },
    phase,
    phases: phases as ReadonlyArray<Phase>,
    nodesReady,
    isAway,
    allCalling,
    midSpeech,
    seen,
    rowsSince,
    /** What `GET /synths/{id}` tells its caller. */
    record: (tenant: TenantName, id: string) => get(`${url}/synths/${id}`, keys[tenant])
  }
})

export class Stage extends Context.Service<Stage, Effect.Success<typeof make>>()("test/outages/Stage") {
  static readonly layer = Layer.effect(Stage, make).pipe(Layer.provideMerge(Service))
}
