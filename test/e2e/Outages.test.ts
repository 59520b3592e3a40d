/**
 * Two node programs and a relay program are killed, paused, flooded and cut off while sixty-four callers listen. Whatever
 * happens, a caller gets the audio of its own text in its own voice, once and in order, or a code of the contract, and
 * nothing hangs or is left behind. The table of what became of all calls is printed.
 */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { until } from "../layers/TestServer.ts"
import type { Call } from "./outages/Call.ts"
import { chunkMillis, firstAudioMillis, Stage } from "./outages/Stage.ts"
import { table } from "./outages/Table.ts"
import type { Row } from "./outages/Verdict.ts"

const millisMax = 60_000

const allSucceed = ({ calls }: { readonly calls: ReadonlyArray<Call> }) =>
  assert.deepEqual(
    calls.filter(({ broken, status }) => status !== 200 || broken).map(({ code }) => code ?? "broken"),
    []
  )

/** One that was taken up by another node says so, to the caller who asks. */
const recordTellsOfTakeover = Effect.fnUntraced(
  function*({ rows }: { readonly rows: ReadonlyArray<Row> }, why: RegExp) {
    const { record } = yield* Stage
    const row = rows.find(({ outcome, routing }) => outcome === "completed" && routing.includes("without a seam"))
    assert.ok(row !== undefined, "no call was taken over without a seam")
    const { json } = yield* record(row.tenant_id as "alder", row.synthesis_id)
    assert.equal(json.data.status, "completed")
    assert.match(json.data.routing.join(" "), why)
  }
)

layer(Stage.layer, { excludeTestServices: true, timeout: millisMax })("outages", (it) => {
  it.effect("calm: everything succeeds", () =>
    Effect.gen(function*() {
      const { allCalling, phase } = yield* Stage
      allSucceed(yield* phase("calm", Effect.andThen(allCalling, Effect.sleep(1500))))
    }), millisMax)

  it.effect(
    "a node that is killed in mid-sentence: the other one goes on without a seam",
    () =>
      Effect.gen(function*() {
        const { isAway, midSpeech, nodesReady, phase, two } = yield* Stage
        const killed = yield* phase(
          "a node killed",
          Effect.gen(function*() {
            yield* midSpeech
            yield* two.kill
            yield* until(Effect.sync(() => isAway(two.address)), (away) => away)
            yield* Effect.sleep(500)
            yield* two.start()
            yield* nodesReady()
          })
        )
        yield* recordTellsOfTakeover(
          killed,
          /broke after \d+ ms: SCAISPEAK_BACKEND_UNAVAILABLE.*went on at \d+ ms, without a seam/u
        )
      }),
    millisMax
  )

  it.effect(
    "a node that is paused in mid-sentence: its silence ends, the other one goes on",
    () =>
      Effect.gen(function*() {
        const { midSpeech, nodesReady, phase, two } = yield* Stage
        const paused = yield* phase(
          "a node paused",
          Effect.gen(function*() {
            yield* midSpeech
            yield* two.pause
            yield* Effect.sleep(chunkMillis + 1000)
            yield* two.resume
            yield* nodesReady()
          })
        )
        yield* recordTellsOfTakeover(
          paused,
          /broke after \d+ ms: SCAISPEAK_BACKEND_TIMEOUT.*went on at \d+ ms, without a seam/u
        )
      }),
    millisMax
  )

  it.effect("a relay that is killed, and one that stalls, breaks and refuses", () =>
    Effect.gen(function*() {
      const { allCalling, phase, relay, seen } = yield* Stage
      let killedAt = Infinity
      const broken = yield* phase(
        "the relay broken",
        Effect.gen(function*() {
          yield* allCalling
          yield* Effect.sleep(500)
          yield* relay.kill
          killedAt = Date.now()
          yield* seen(({ code }) => code === "SCAISPEAK_BACKEND_UNAVAILABLE")
          yield* relay.start
          yield* Effect.sleep(800)
          yield* relay.trouble(true)
          yield* seen(({ code }) => code === "SCAISPEAK_BACKEND_FAILED")
          yield* seen(({ code }) => code === "SCAISPEAK_BACKEND_SATURATED")
          yield* relay.trouble(false)
        })
      )
      assert.ok(broken.count("broken") > 0, "no other speaker goes on for one that was heard")
      const after = broken.calls.filter(({ startedAt }) => startedAt >= killedAt)
      assert.ok(
        after.some(({ backend, caller }) => caller.tenant === "dogwood" && backend === "A"),
        "A stands in for B"
      )
      for (const { code } of after.filter(({ caller }) => caller.tenant === "alder")) {
        assert.notEqual(code, "SCAISPEAK_BACKEND_UNAVAILABLE", "what is locked to the nodes needs no relay")
      }
    }), millisMax)

  it.effect("both nodes gone: the relay speaks where it may, others are told at once", () =>
    Effect.gen(function*() {
      const { isAway, midSpeech, one, phase, two } = yield* Stage
      let goneAt = Infinity
      const gone = yield* phase(
        "both nodes killed",
        Effect.gen(function*() {
          yield* midSpeech
          yield* Effect.all([one.kill, two.kill], { concurrency: 2 })
          yield* until(Effect.sync(() => isAway(one.address) && isAway(two.address)), (away) => away)
          goneAt = Date.now()
          yield* Effect.sleep(1500)
        })
      )
      const after = gone.calls.filter(({ startedAt }) => startedAt >= goneAt)
      const of = (tenant: string) => after.filter(({ caller }) => caller.tenant === tenant)
      assert.ok(of("alder").length > 0)
      for (const { answeredMillis, code } of of("alder")) {
        assert.equal(code, "SCAISPEAK_BACKEND_UNAVAILABLE")
        assert.ok(answeredMillis < firstAudioMillis / 2, "nobody waits for what is known")
      }
      const both = of("cedar").filter(({ caller }) => caller.voice.startsWith("vox_both"))
      assert.ok(both.length > 0)
      for (const { backend } of both) assert.equal(backend, "B")
      for (const { status } of of("birch")) assert.equal(status, 200)
    }), millisMax)

  it.effect(
    "nodes of few places: the rest go to the relay where they may, others are told when to come again",
    () =>
      Effect.gen(function*() {
        const { nodesReady, one, phase, two } = yield* Stage
        yield* Effect.all([one.start(3), two.start(1)], { concurrency: 2 })
        yield* nodesReady(3, 1)
        const full = yield* phase("nodes saturated", Effect.sleep(2500))
        assert.ok(full.count("SATURATED") > 0, "who is locked to the nodes is told")
        assert.equal(full.count("UNAVAILABLE") + full.count("FAILED") + full.count("broken"), 0)
        const cedar = full.calls.filter(({ caller }) => caller.tenant === "cedar" && caller.voice === "vox_both_kal16")
        assert.ok(cedar.some(({ backend }) => backend === "B"))
        assert.ok(cedar.every(({ status }) => status === 200))
      }),
    millisMax
  )

  it.effect(
    "all back: everything succeeds again, and nobody was ever where it may not be",
    () =>
      Effect.gen(function*() {
        const { allCalling, nodesReady, one, phase, phases, relay, rowsSince, two } = yield* Stage
        yield* Effect.all([one.kill, two.kill], { concurrency: 2 })
        yield* Effect.all([one.start(), two.start()], { concurrency: 2 })
        yield* nodesReady()
        allSucceed(yield* phase("all back", Effect.andThen(allCalling, Effect.sleep(1500))))
        console.log(`\n${table(phases)}\n`)

        const rows = yield* rowsSince(0)
        const tenantOf = new Map(rows.map((row) => [row.synthesis_id, row.tenant_id]))
        const asked = relay.asked()
        assert.ok(asked.length > 0)
        for (const { requestId, text } of asked) {
          const tenant = tenantOf.get(requestId)
          assert.ok(tenant !== undefined && tenant !== "alder" && tenant !== "clerk", `${tenant} was at the relay`)
          assert.ok(text.endsWith(`in ${tenant}.`), "the relay reads a tenant's own text")
        }
        for (const { backend, node_id, routing } of rows.filter(({ tenant_id }) => tenant_id === "birch")) {
          assert.equal(backend, "B")
          assert.equal(node_id, null)
          assert.ok(!routing.includes("Node"), routing)
        }
      }),
    millisMax
  )
})
