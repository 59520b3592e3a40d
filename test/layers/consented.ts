/** A cloned voice and the consent that it stands on, as a library holds them, spoken by a script of the node. */
import { Context, DateTime, Effect, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import type { Voice } from "../../src/domain/Voice.ts"
import { Consents } from "../../src/services/Consents.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import type { TestServer } from "./TestServer.ts"
import { voice } from "./voices.ts"

/** Ada's, of tenant acme. */
export const consented = Effect.fnUntraced(
  function*(server: TestServer["Service"], script: string, fields: Partial<Voice> = {}) {
    const sql = Context.get(server.context, SqlClient.SqlClient)
    const voiceId = VoiceId.make(`vox_${script}_${Math.random().toString(36).slice(2)}`)
    const [tenantId, userId] = [TenantId.make("acme"), UserId.make("ada")]
    yield* Effect.orDie(sql.withTransaction(Effect.gen(function*() {
      const consent = yield* Context.get(server.context, Consents).grant({
        tenantId,
        voiceId,
        text: "I agree.",
        fullName: "Ada Lovelace",
        statedPurpose: "audiobooks",
        audioKey: "consent.wav",
        audioSha256: "0".repeat(64),
        alignment: null,
        granted: { userId, requestId: "req_1", ip: null, userAgent: null }
      })
      const made = voice({
        voiceId,
        scope: "user",
        kind: "cloned",
        tenantId,
        ownerUserId: userId,
        consent,
        preset: { engine: "scripted", name: script },
        createdAt: DateTime.nowUnsafe(),
        updatedAt: DateTime.nowUnsafe(),
        ...fields
      })
      yield* sql`INSERT INTO voices ${sql.insert(encode(made))}`
    })))
    return voiceId
  },
  Effect.provide(Logger.layer([]))
)
