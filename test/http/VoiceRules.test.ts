/**
 * No sequence of sharing, taking back, revoking and erasing by anybody lets somebody read, list or speak a voice that the
 * rules forbid: random sequences over the whole service, each act held against a model of a few lines.
 */
import { layer } from "@effect/vitest"
import { Context, DateTime, Effect, Logger, Random } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import type { VoiceId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { AuthUser, Role } from "../../src/domain/Permission.ts"
import { Consents } from "../../src/services/Consents.ts"
import { Erasure } from "../../src/services/Erasure.ts"
import { makeId } from "../../src/services/Ids.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { Synthesis } from "../../src/services/Synthesis.ts"
import { VoiceLibrary } from "../../src/services/VoiceLibrary.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { stores } from "../layers/stores.ts"
import { TestServer } from "../layers/TestServer.ts"
import { scripted } from "../layers/voices.ts"

const sequences = 60
const actsMax = 14

const user = (tenantId: string, userId: string, role: Role): AuthUser => ({
  tenantId: TenantId.make(tenantId),
  userId: UserId.make(userId),
  role,
  permissions: new Set(role === "tenant_user" ? ["scaispeak:voice.write", "scaispeak:voice.share"] : granted[role]),
  credential: { kind: "jwt" }
})

const users = {
  owner: user("acme", "owner", "tenant_user"),
  colleague: user("acme", "colleague", "tenant_user"),
  admin: user("acme", "admin", "tenant_admin"),
  outsider: user("globex", "owner", "tenant_admin"),
  partner: user("partner", "partner", "partner_admin"),
  super: user("default", "super", "super_admin")
}
type Who = keyof typeof users
const acts = ["share", "unshare", "revoke", "erase", "read", "list", "speak"] as const
type Act = typeof acts[number]

/** What a voice of `owner` is. */
interface Model {
  scope: "user" | "tenant" | "gone"
  revoked: boolean
}

type Answer = "done" | "VoiceNotFound" | "PermissionDenied" | "VoiceNotReady"

/** The rules: what the act is answered with. Changes the model. */
const expected = (model: Model, who: Who, act: Act): ReadonlyArray<Answer> => {
  const sees = who === "owner"
    ? model.scope !== "gone"
    : model.scope === "tenant" && ["colleague", "admin"].includes(who)
  const keeps = who === "owner" || who === "admin"
  // Whoever might have asked for an erasure is told of it again, and whoever saw the voice, while it is under way.
  if (model.scope === "gone") {
    if (act === "erase") return ["done", "VoiceNotFound"]
    return act === "speak" ? ["VoiceNotFound", "VoiceNotReady"] : ["VoiceNotFound"]
  }
  switch (act) {
    case "read":
    case "list":
      return [sees ? "done" : "VoiceNotFound"]
    case "speak":
      return [!sees ? "VoiceNotFound" : model.revoked ? "VoiceNotReady" : "done"]
    case "revoke":
      // Consent is an administrator's to take back also where they cannot see the voice.
      if (who === "admin" || who === "owner") model.revoked = true
      return [who === "admin" || who === "owner" ? "done" : sees ? "PermissionDenied" : "VoiceNotFound"]
    default: {
      if (!sees) return ["VoiceNotFound"]
      if (!keeps) return ["PermissionDenied"]
      model.scope = act === "share" ? "tenant" : act === "unshare" ? "user" : "gone"
      return ["done"]
    }
  }
}

const voiceOfOwner = Effect.fnUntraced(function*(context: Context.Context<never>) {
  const sql = Context.get(context as Context.Context<SqlClient.SqlClient>, SqlClient.SqlClient)
  const voiceId = yield* makeId("vox")
  const { tenantId, userId } = users.owner
  return yield* sql.withTransaction(Effect.gen(function*() {
    const consent = yield* Context.get(context as Context.Context<Consents>, Consents).grant({
      tenantId,
      voiceId,
      text: "I agree.",
      fullName: "Ada Lovelace",
      statedPurpose: "tests",
      audioKey: "consent.wav",
      audioSha256: "0".repeat(64),
      alignment: null,
      granted: { userId, requestId: "req_1", ip: null, userAgent: null }
    })
    const now = DateTime.nowUnsafe()
    const made = scripted("say", {
      voiceId,
      scope: "user",
      kind: "cloned",
      tenantId,
      ownerUserId: userId,
      consent,
      createdAt: now,
      updatedAt: now
    })
    yield* sql`INSERT INTO voices ${sql.insert(encode(made))}`
    return voiceId
  }))
}, Effect.orDie)

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`the rules of voices on ${name}`, (it) => {
    it.effect("hold in any order, whoever acts", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const [library, repo, consents, erasure, synthesis] = [
          Context.get(context, VoiceLibrary),
          Context.get(context, VoiceRepo),
          Context.get(context, Consents),
          Context.get(context, Erasure),
          Context.get(context, Synthesis)
        ]
        const perform = (
          act: Act,
          caller: AuthUser,
          id: VoiceId
        ): Effect.Effect<unknown, { readonly _tag: string }> => {
          switch (act) {
            case "share":
              return library.share(caller, id)
            case "unshare":
              return library.unshare(caller, id)
            case "revoke":
              return consents.revoke(caller, id, { requestId: "req_2", ip: null, userAgent: null })
            case "erase":
              return erasure.voice(caller, id)
            case "read":
              return repo.find(caller, id)
            case "speak":
              return synthesis.permit(caller, id)
            case "list":
              return Effect.flatMap(
                repo.list(caller, { kind: "cloned", limit: 200 }),
                ({ items }) =>
                  items.some(({ voiceId }) => voiceId === id) ? Effect.void : Effect.fail({ _tag: "VoiceNotFound" })
              )
          }
        }
        let made = 0
        const pick = <A>(of: ReadonlyArray<A>) => Effect.map(Random.nextIntBetween(0, of.length - 1), (i) => of[i]!)
        const run = Effect.fnUntraced(function*() {
          const id = yield* voiceOfOwner(context as Context.Context<never>)
          const model: Model = { scope: "user", revoked: false }
          const told: Array<string> = []
          for (let i = yield* Random.nextIntBetween(2, actsMax); i > 0; i--) {
            const act = yield* pick(acts)
            const who = yield* pick(Object.keys(users) as ReadonlyArray<Who>)
            const rules: ReadonlyArray<string> = expected(model, who, act)
            const answer = yield* Effect.match(perform(act, users[who], id), {
              onSuccess: () => "done",
              onFailure: ({ _tag }) => _tag
            })
            made++
            told.push(`${who} ${act}: ${answer}`)
            assert.ok(rules.includes(answer), `${told.join(", ")}; not ${rules.join(" or ")}`)
          }
          // Lists stay short.
          for (const who of ["owner", "admin"] as const) yield* Effect.ignore(erasure.voice(users[who], id))
        }, Effect.provide(Logger.layer([])))
        for (let seed = 0; seed < sequences; seed++) yield* Random.withSeed(run(), `voice rules ${seed}`)
        console.log(`${name}: ${made} acts in ${sequences} sequences`)
      }), 60_000)
  })
}
