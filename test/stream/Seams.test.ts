/** A text that comes in deltas sounds like the same text in one request, with a real engine. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import assert from "node:assert/strict"
import { StreamService } from "../../src/stream/StreamService.ts"
import { idle, send, TestServer, until } from "../layers/TestServer.ts"
import { connect, got } from "./Client.ts"

layer(TestServer.layer({ SCAISPEAK_NODES: "", SCAISPEAK_EMBEDDED_NODE: "true" }), { excludeTestServices: true })(
  "seams",
  (it) => {
    it.effect(
      "are the engine's own between sentences; within one, as long as those of one request",
      () =>
        Effect.gen(function*() {
          const { context, key, url } = yield* TestServer
          const voice = "vox_flite_slt"
          const bearer = yield* key("acme", "ada", "tenant_admin")
          const streamed = Effect.fnUntraced(function*(text: string) {
            const client = yield* connect(Context.get(context, StreamService), {
              voice_id: voice,
              output: { codec: "pcm", sample_rate: 16000 },
              timestamps: "word"
            })
            for (const delta of text.match(/.{1,5}/gsu)!) yield* client.send({ type: "text", delta })
            yield* client.send({ type: "close" })
            yield* got(client, "closed")
            return client
          })
          const whole = (text: string) =>
            until(
              send(
                "POST",
                `${url}/speak`,
                { voice_id: voice, text, response_format: "pcm", sample_rate: 16000 },
                bearer
              ),
              ({ status }) => status === 200
            )

          const sentences = "This is the first one of them. And here the second one comes. Is this the last?"
          const { bytes } = yield* whole(sentences)
          const client = yield* streamed(sentences)
          assert.equal(client.of("segment").length, 3)
          assert.equal(Buffer.compare(client.audio(), bytes), 0, "sample for sample")
          const words = client.of("words").flatMap(({ words }) => words)
          assert.ok(words.every(({ source }) => source === "native"))
          assert.deepEqual(
            words.map(({ chars: [from, to], text }) => [sentences.slice(from, to), text]),
            words.map(({ text }) => [text, text])
          )
          const times = words.flatMap(({ endMs, startMs }) => [startMs, endMs])
          assert.deepEqual(times, times.toSorted((a, b) => a - b))

          const clauses = "When all of this is over, we go home together.\n\nThat is a promise."
          const cut = yield* streamed(clauses)
          const [first] = cut.of("segment")
          assert.equal(first!.text, "When all of this is over, ")
          const length = (yield* whole(clauses)).bytes.length
          // Each part is spoken with the melody of its own: the pauses are what is the same.
          assert.ok(Math.abs(cut.audio().length - length) < 16000 * 2 * 0.5, `${cut.audio().length} ${length}`)
          yield* idle
        }),
      60_000
    )
  }
)
