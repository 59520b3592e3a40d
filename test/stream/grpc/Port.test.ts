/** What else is at the gRPC port: voices, jobs, health, reflection; and how all of it ends. */
import { it, layer } from "@effect/vitest"
import { credentials, status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Context, Effect, Exit, Fiber, Layer, Logger, Scope } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { VoiceId } from "../../../src/domain/Ids.ts"
import { HealthCheckResponse_ServingStatus, HealthClient } from "../../../src/proto/grpc/health/v1/health.ts"
import type { HealthCheckResponse } from "../../../src/proto/grpc/health/v1/health.ts"
import { ServerReflectionClient, ServerReflectionRequest } from "../../../src/proto/grpc/reflection/v1/reflection.ts"
import * as wire from "../../../src/proto/scaispeak/v1/speak.ts"
import { encode } from "../../../src/services/sql/VoiceRow.ts"
import { GrpcServer } from "../../../src/stream/GrpcServer.ts"
import { consented } from "../../layers/consented.ts"
import { get, send, TestServer, until } from "../../layers/TestServer.ts"
import { voice } from "../../layers/voices.ts"
import { audited, bearer, clientOf, collect, connected, frame, saying } from "./Client.ts"

const { NOT_SERVING, SERVICE_UNKNOWN, SERVING } = HealthCheckResponse_ServingStatus

/** The reply of a call that has one, or why it has none. */
const replyOf = <A>(call: (reply: (error: ServiceError | null, answer: A) => void) => unknown) =>
  Effect.callback<{ readonly error: ServiceError | null; readonly answer: A }>((resume) => {
    call((error, answer) => resume(Effect.succeed({ error, answer })))
  })

const healthOf = (address: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new HealthClient(address, credentials.createInsecure())),
    (client) => Effect.sync(() => client.close())
  )

layer(TestServer.layer(), { excludeTestServices: true })("the gRPC port", (it) => {
  it.effect("ListVoices takes the filters and the cursor", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const list = (request: Partial<wire.ListVoicesRequest>) =>
        Effect.map(
          replyOf<wire.ListVoicesResponse>((reply) =>
            client.listVoices(wire.ListVoicesRequest.fromPartial(request as never), bearer(token), reply)
          ),
          ({ answer, error }) => ({
            names: answer?.voices.map(({ voiceId }) => voiceId) ?? [],
            next: answer?.nextCursor,
            code: error?.code
          })
        )
      const first = yield* list({ limit: 2 })
      assert.equal(first.names.length, 2)
      const second = yield* list({ limit: 2, cursor: first.next })
      assert.equal(new Set([...first.names, ...second.names]).size, 4)
      assert.deepEqual((yield* list({ q: "steady" })).names, ["vox_scripted_steady"])
      assert.deepEqual((yield* list({ scope: wire.VoiceScope.USER })).names, [])
      for (const wrong of [{ limit: 500 }, { limit: 0 }, { cursor: "?" }, { gender: "none" }, { kind: 9 as never }]) {
        assert.equal((yield* list(wrong)).code, status.INVALID_ARGUMENT, JSON.stringify(wrong))
      }
    }))

  it.effect("a voice shows what its record over HTTP shows", () =>
    Effect.gen(function*() {
      const server = yield* connected
      const { client, context, token, url } = server
      const cloned = yield* consented(server, "say", {
        defaults: { speed: 1.25, instructions: "calm", cfgValue: 2.5, warmupTrimMs: 30 },
        ageHint: "old",
        styleTags: ["warm"],
        statusReason: "as told",
        relaySpeaker: "nova",
        designPrompt: "a calm reader",
        reference: { sha256: "a".repeat(64), durationMs: 9000, objectKey: "clip.wav", transcript: "Nobody is told." }
      })
      const licensed = VoiceId.make("vox_scripted_words")
      const superAdmin = yield* server.key("default", "root", "super_admin")
      const set = yield* send("PUT", `${url}/admin/voices/${licensed}/license`, {}, superAdmin)
      void set
      const sql = Context.get(context, SqlClient.SqlClient)
      yield* Effect.orDie(sql`INSERT INTO voices ${sql.insert(encode(voice({ voiceId: VoiceId.make("vox_plain") })))}`)
      const { answer } = yield* replyOf<wire.ListVoicesResponse>((reply) =>
        client.listVoices(wire.ListVoicesRequest.fromPartial({ limit: 200 } as never), bearer(token), reply)
      )
      for (const id of [cloned, licensed, "vox_plain"]) {
        const shown = answer.voices.find(({ voiceId }) => voiceId === id)
        const { json } = yield* get(`${url}/voices/${id}`, token)
        assert.deepEqual(asRecord(shown!), json.data, id)
      }
    }))
})

const literal = (names: Record<string, number>, value: number) =>
  Object.keys(names).find((name) => names[name] === value)!.toLowerCase()
const time = (millis: number) => new Date(millis).toISOString()

/** A voice of this wire in the words of the other. */
const asRecord = (shown: wire.Voice) => ({
  voice_id: shown.voiceId,
  display_name: shown.displayName,
  description: shown.description,
  scope: literal(wire.VoiceScope, shown.scope),
  kind: literal(wire.VoiceKind, shown.kind),
  language_primary: shown.languagePrimary,
  language_supported: shown.languageSupported,
  gender: shown.gender,
  age_hint: shown.ageHint ?? null,
  style_tags: shown.styleTags,
  embedding_status: literal(wire.EmbeddingStatus, shown.embeddingStatus),
  status_reason: shown.statusReason ?? null,
  owner_user_id: shown.ownerUserId ?? null,
  tenant_id: shown.tenantId ?? null,
  defaults: JSON.parse(JSON.stringify({
    instructions: shown.defaults?.instructions,
    speed: shown.defaults?.speed,
    cfg_value: shown.defaults?.cfgValue,
    warmup_trim_ms: shown.defaults?.warmupTrimMs
  })),
  backends: { A: shown.backends.includes(wire.Backend.A), B: shown.backends.includes(wire.Backend.B) },
  relay_speaker: shown.relaySpeaker ?? null,
  reference: shown.reference ? { duration_ms: shown.reference.durationMs, sha256: shown.reference.sha256 } : null,
  consent: shown.consent
    ? {
      consent_id: shown.consent.consentId,
      status: literal(wire.ConsentStatus, shown.consent.status),
      stated_purpose: shown.consent.statedPurpose
    }
    : null,
  license: shown.license
    ? {
      licensor: shown.license.licensor,
      type: literal(wire.LicenseType, shown.license.type),
      expires_at: shown.license.expiresAtMs === undefined ? null : time(shown.license.expiresAtMs),
      character_cap: shown.license.characterCap ?? null,
      characters_used: shown.license.charactersUsed
    }
    : null,
  voice_design_prompt: shown.voiceDesignPrompt ?? null,
  created_at: time(shown.createdAtMs),
  updated_at: time(shown.updatedAtMs)
})
