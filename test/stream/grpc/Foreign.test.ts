/** The public gRPC service by a client of another implementation, which learns the contract from the port itself; with a real engine. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { GrpcServer } from "../../../src/stream/GrpcServer.ts"
import { get, TestServer, until } from "../../layers/TestServer.ts"
import { python } from "../../servers/Programs.ts"

const voice = "vox_flite_slt"
const run = promisify(execFile)

layer(TestServer.layer({ SCAISPEAK_NODES: "" }), { excludeTestServices: true })("a client in Python", (it) => {
  it.effect("finds its way by reflection and is spoken to", () =>
    Effect.gen(function*() {
      const { context, key, url } = yield* TestServer
      const { address } = Context.get(context, GrpcServer)
      const token = yield* key("acme", "ada", "tenant_admin")
      yield* until(get(`${url}/voices/${voice}`, token), ({ status }) => status === 200)
      const { stdout } = yield* Effect.promise(() =>
        run(python, [join(import.meta.dirname, "foreign.py"), address, token, voice])
      )
      const seen = JSON.parse(stdout)

      assert.ok(seen.services.includes("scaispeak.v1.SpeakService"))
      assert.deepEqual(seen.alpha, seen.services)
      assert.equal(seen.health, 1)
      assert.ok(seen.voices.includes(voice))
      assert.deepEqual(seen.refusal, ["NOT_FOUND", "SCAISPEAK_VOICE_NOT_FOUND", true])

      const { mp3, pcm, stream } = seen
      for (const spoken of [pcm, mp3]) {
        assert.deepEqual(spoken.kinds, ["header", "audio", "done"])
        assert.ok(spoken.loud && spoken.done > 500, JSON.stringify(spoken))
      }
      assert.equal(pcm.content_type.split(";")[0], "audio/pcm")
      assert.equal(mp3.content_type, "audio/mpeg")
      assert.ok(Math.abs((pcm.bytes / 2 / pcm.sample_rate) * 1000 - pcm.done) < 1, "as long as it says")
      assert.match(mp3.first, /^ff[ef]/u)

      assert.deepEqual(stream.frames.slice(0, 4), ["ready", "segment", "audio", "flush_done"])
      assert.ok(Math.abs(stream.audio_first / 32 - stream.audio_ms) <= 1, "the flush's audio is in ms what came of it")
      assert.ok(stream.frames.includes("interrupted") && stream.frames.at(-1) === "closed", stream.frames.join())
      assert.equal(stream.interrupts, 1)
      assert.ok(stream.unheard.includes("nobody is going to hear"), stream.unheard)
    }), 60_000)
})
