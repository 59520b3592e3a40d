/** What one process changes the others forget at once, through one Redis: policies, voices and keys. */
import { it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Redacted, Schedule, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { BackendPolicy, initialPolicy } from "../../src/domain/BackendPolicy.ts"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { consentRevoked } from "../../src/domain/Voice.ts"
import { ApiKeys } from "../../src/services/ApiKeys.ts"
import { makeId } from "../../src/services/Ids.ts"
import { PolicyResolver } from "../../src/services/PolicyResolver.ts"
import { Redis } from "../../src/services/Redis.ts"
import { RunningVoices } from "../../src/services/RunningVoices.ts"
import { Signals } from "../../src/services/Signals.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { voice } from "../layers/voices.ts"
import { redisUrl } from "../servers/inject.ts"
import { sqlLayers } from "./sqlLayers.ts"

/** Well below the five seconds that things are remembered. */
const heardMillisMax = 1_000

/** The services of one process, with memories of their own. */
const process = (url: string) =>
  Layer.build(
    Layer.fresh(
      Layer.mergeAll(PolicyResolver.layer, ApiKeys.layer, RunningVoices.layer).pipe(
        Layer.provideMerge(VoiceRepo.layer),
        Layer.provideMerge(Signals.layer),
        Layer.provide(Redis.layer(Redacted.make(url)))
      )
    )
  )

/** Waits until the other process has heard of a change, and asserts that it was soon. */
const soon = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>, fits: (answer: A) => boolean) =>
  Effect.gen(function*() {
    const startedAt = performance.now()
    yield* Effect.repeat(effect, { until: fits, schedule: Schedule.spaced(5) })
    const tookMs = performance.now() - startedAt
    console.log(`${what}: known to the other process after ${tookMs.toFixed(0)} ms`)
    assert.ok(tookMs < heardMillisMax)
  })

const acme = TenantId.make("acme")
const ada = { tenantId: acme, userId: UserId.make("ada") }

it.live("a change of policy, voice or key is known to other processes at once", () =>
  Effect.gen(function*() {
    const url = yield* Effect.promise(redisUrl)
    const [here, there] = [yield* process(url), yield* process(url)]
    const sql = yield* SqlClient.SqlClient

    // Once it has subscribed, what is remembered there is forgotten by signal or with time alone.
    const { signals } = yield* Context.get(there, Signals).subscribe("keys.changed")
    yield* Stream.runHead(Stream.filter(signals, ({ _tag }) => _tag === "Resync")).pipe(
      Effect.timeout("1 second"),
      Effect.ignore
    )

    const policies = Context.get(there, PolicyResolver)
    assert.deepEqual(yield* policies.resolve(acme), initialPolicy)
    const onlyRelay = BackendPolicy.make({ allowedBackends: ["B"], defaultBackend: "B" })
    yield* Context.get(here, PolicyResolver).update(acme, onlyRelay)
    yield* soon("policy", policies.resolve(acme), ({ defaultBackend }) => defaultBackend === "B")

    const voices = Context.get(there, VoiceRepo)
    const voiceId = yield* makeId("vox")
    const made = voice({ voiceId, scope: "user", tenantId: acme, ownerUserId: ada.userId })
    yield* sql`INSERT INTO voices ${sql.insert(encode(made))}`
    yield* voices.find(ada, voiceId)
    yield* sql`UPDATE voices SET description = 'changed' WHERE voice_id = ${voiceId}`
    yield* Context.get(here, VoiceRepo).invalidate(voiceId)
    yield* soon("voice", voices.find(ada, voiceId), ({ description }) => description === "changed")

    const keys = Context.get(there, ApiKeys)
    const { key, record } = yield* Context.get(here, ApiKeys).create({
      name: "k",
      owner: { ...ada, role: "tenant_admin" },
      permissions: ["scaispeak:admin"]
    })
    yield* keys.authenticate(key)
    yield* Context.get(here, ApiKeys).revoke(acme, record.keyId)
    yield* soon("key", Effect.exit(keys.authenticate(key)), ({ _tag }) => _tag === "Failure")

    const call = yield* Context.get(there, RunningVoices).enter(voiceId)
    const other = yield* Context.get(there, RunningVoices).enter(yield* makeId("vox"))
    yield* Context.get(here, RunningVoices).stop(voiceId, consentRevoked)
    yield* soon("stop", Effect.sync(() => call.stopped), (stopped) => stopped?.reason === consentRevoked)
    assert.equal(other.stopped, undefined)
  }).pipe(Effect.provide(Layer.merge(sqlLayers[0]!.layer, Logger.layer([])))))
