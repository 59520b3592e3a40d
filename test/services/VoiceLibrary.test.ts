/**
 * Changes to voices against a model: whatever users of two tenants do to voices in whatever order, nobody reads or speaks
 * one that the table of `VoiceAccess` forbids, and nobody who may is kept from it.
 */
import { layer } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { AuthUser, Role } from "../../src/domain/Permission.ts"
import { notReady } from "../../src/domain/Voice.ts"
import type { Voice } from "../../src/domain/Voice.ts"
import { refusal } from "../../src/domain/VoiceAccess.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { VoiceLibrary } from "../../src/services/VoiceLibrary.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { voice } from "../layers/voices.ts"
import { sqlLayers } from "./sqlLayers.ts"

const user = (tenant: string, name: string, role: Role): AuthUser => ({
  tenantId: TenantId.make(tenant),
  userId: UserId.make(name),
  role,
  permissions: new Set(granted[role]),
  credential: { kind: "jwt" }
})
const users = {
  ada: user("acme", "ada", "tenant_user"),
  bob: user("acme", "bob", "tenant_viewer"),
  root: user("acme", "root", "tenant_admin"),
  namesake: user("globex", "ada", "tenant_admin"),
  su: user("default", "su", "super_admin")
}
const names = ["ada", "bob", "root", "namesake", "su"] as const
const { ada } = users

/** What the library holds at first: Ada's own, one of Bob's that is shared, a namesake's, everybody's. */
const seeds: ReadonlyArray<Partial<Voice>> = [
  { scope: "user", tenantId: ada.tenantId, ownerUserId: ada.userId },
  { scope: "tenant", tenantId: ada.tenantId, ownerUserId: users.bob.userId },
  { scope: "user", tenantId: users.namesake.tenantId, ownerUserId: users.namesake.userId },
  {}
]
const idOf = (i: number) => VoiceId.make(`vox_model_${i}`)

const Step = Schema.Struct({
  by: Schema.Literals(names),
  voice: Schema.Literals([0, 1, 2, 3]),
  act: Schema.Literals(["share", "unshare", "update", "erase", "restore"])
})
const Story = Schema.Array(Step).check(Schema.isMaxLength(12))

const seed = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const repo = yield* VoiceRepo
  yield* sql`DELETE FROM voices`
  const model = new Map<VoiceId, Voice>()
  for (const [i, fields] of seeds.entries()) {
    const made = voice({ ...fields, voiceId: idOf(i) })
    yield* sql`INSERT INTO voices ${sql.insert(encode(made))}`
    yield* repo.invalidate(made.voiceId)
    model.set(made.voiceId, made)
  }
  return model
})

/** The tombstone that an erasure sets before anything else, as its pipeline writes it. */
const setStatus = Effect.fnUntraced(function*(id: VoiceId, embeddingStatus: Voice["embeddingStatus"]) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`UPDATE voices SET embedding_status = ${embeddingStatus} WHERE voice_id = ${id}`
  yield* VoiceRepo.use((repo) => repo.invalidate(id))
})

/** Does the step to the library, holds its answer against the table, and returns the voice that it should have left. */
const take = Effect.fnUntraced(function*(before: Voice, { act, by }: typeof Step.Type) {
  const library = yield* VoiceLibrary
  const caller = users[by]
  if (act === "erase" || act === "restore") {
    if (refusal("delete", before, caller) !== undefined) return before
    const embeddingStatus = act === "erase" ? "evicted" : "ready"
    yield* setStatus(before.voiceId, embeddingStatus)
    return { ...before, embeddingStatus } as const
  }
  const refused = refusal(act, before, caller)
  const exit = yield* Effect.exit(
    act === "update"
      ? library.update(caller, before.voiceId, { displayName: `${by}'s` })
      : library[act](caller, before.voiceId)
  )
  assert.deepEqual(
    Exit.isSuccess(exit) ? undefined : Exit.findErrorOption(exit).pipe((error) => error._tag === "Some" && error.value),
    refused
  )
  if (refused !== undefined) return before
  return {
    ...before,
    ...(act === "share" ? { scope: "tenant" as const } : act === "unshare" ? { scope: "user" as const } : {}),
    ...(act === "update" ? { displayName: `${by}'s` } : {})
  }
})

const agrees = Effect.fnUntraced(function*(model: ReadonlyMap<VoiceId, Voice>) {
  const repo = yield* VoiceRepo
  for (const name of names) {
    const caller = users[name]
    const listed = yield* repo.list(caller, { limit: 200 })
    const seen: Array<string> = []
    for (const [id, voice] of model) {
      const exit = yield* Effect.exit(repo.find(caller, id))
      const allowed = refusal("read", voice, caller) === undefined
      assert.equal(Exit.isSuccess(exit), allowed, `${name} reads ${id}`)
      if (!Exit.isSuccess(exit)) continue
      seen.push(id)
      // Synthesis speaks what `find` gives and `notReady` lets pass.
      const speaks = notReady(exit.value) === undefined
      const maySpeak = refusal("speak", voice, caller) === undefined && voice.embeddingStatus === "ready"
      assert.equal(speaks, maySpeak, `${name} speaks ${id}`)
      assert.deepEqual({ ...exit.value, updatedAt: voice.updatedAt }, voice)
      assert.equal(exit.value.ownerUserId, voice.ownerUserId)
    }
    assert.deepEqual(listed.items.map(({ voiceId }) => voiceId), seen)
  }
})

for (const db of sqlLayers) {
  layer(VoiceLibrary.layer.pipe(Layer.provideMerge(VoiceRepo.layer), Layer.provideMerge(db.layer)))(
    `VoiceLibrary on ${db.name}`,
    (it) => {
      it.effect.prop(
        "lets no story of changes show or speak a voice to anybody whom the table keeps from it",
        [Story],
        ([story]) =>
          Effect.gen(function*() {
            const model = yield* seed
            for (const step of story) {
              const id = idOf(step.voice)
              model.set(id, yield* take(model.get(id)!, step))
              yield* agrees(model)
            }
          }),
        { arbitrary: { runs: 40 } }
      )

      it.effect("lets one of two that come at once have its way, and the other what is left", () =>
        Effect.gen(function*() {
          yield* seed
          const library = yield* VoiceLibrary
          // An administrator may change the voice for as long as it is shared.
          const id = idOf(1)
          for (let round = 0; round < 20; round++) {
            yield* library.share(users.bob, id)
            const [, patched] = yield* Effect.all(
              [
                library.unshare(users.bob, id),
                Effect.exit(library.update(users.root, id, { description: `${round}` }))
              ],
              { concurrency: "unbounded" }
            )
            const stored = yield* library.permit(users.bob, id, "read")
            assert.equal(stored.scope, "user")
            assert.equal(stored.description === `${round}`, Exit.isSuccess(patched))
          }
        }))

      it.effect("moves updated_at at every change, even when the clock stands", () =>
        Effect.gen(function*() {
          yield* seed
          const library = yield* VoiceLibrary
          yield* TestClock.adjust("1 hour")
          const times = yield* Effect.forEach([1, 2, 3], (speed) =>
            Effect.map(library.update(ada, idOf(0), { defaults: { speed: speed / 2 } }), ({ updatedAt }) =>
              DateTime.toEpochMillis(updatedAt)))
          assert.deepEqual(
            times,
            [0, 1, 2].map((n) =>
              times[0]! + n
            )
          )
          const [same, stored] = yield* Effect.all([
            library.update(ada, idOf(0), {}),
            library.permit(ada, idOf(0), "read")
          ])
          assert.deepEqual(same, stored)
          assert.equal(DateTime.toEpochMillis(stored.updatedAt), times[2])
        }))
    }
  )
}
