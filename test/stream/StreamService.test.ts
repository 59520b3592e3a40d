/** Live sessions over the whole service, with a scripted engine behind real gRPC: what a client gets, to the byte. */
import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spell } from "../layers/ScriptedNode.ts"
import { idle, TestServer } from "../layers/TestServer.ts"
import { got, open } from "./Client.ts"

describe("StreamService", () => {
  layer(TestServer.layer(), { excludeTestServices: true })("speaks", (it) => {
    it.effect("a text as the engine spoke its sentences, sample for sample", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const client = yield* open(context, "spell")
        assert.equal(client.session.ready.backendUsed, "A")
        const text = "The first sentence is this one. The second comes right behind it. And a third."
        for (const delta of text.match(/.{1,7}/gsu)!) yield* client.send({ type: "text", delta })
        yield* client.send({ type: "flush", id: "one" }, { type: "close" })
        yield* got(client, "closed")
        const segments = client.of("segment")
        assert.equal(segments.map((segment) => segment.text).join(""), text)
        assert.deepEqual(client.audio(), Buffer.concat(segments.map((segment) => spell(segment.text))))
        console.log(client.frames())
        yield* idle
      }))
  })
})
