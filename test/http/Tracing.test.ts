/** The spans of one call, as an OpenTelemetry SDK exports them. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { layer } from "@effect/vitest"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { idle, send, TestServer } from "../layers/TestServer.ts"

const exporter = new InMemorySpanExporter()
const Sdk = NodeSdk.layer(() => ({
  resource: { serviceName: "scaispeak" },
  spanProcessor: new SimpleSpanProcessor(exporter)
}))

layer(TestServer.layer().pipe(Layer.provide(Sdk)), { excludeTestServices: true })("the trace of a call", (it) => {
  it.effect("has one span a step, all of one trace, named by the request", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const token = yield* key("acme", "ada", "tenant_admin")
      exporter.reset()
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const reply = yield* send(
        "POST",
        `${url}/speak`,
        { text: "My secret words.", voice_id: "vox_scripted_say" },
        token,
        { "x-request-id": "traced", traceparent: `00-${traceId}-b7ad6b7169203331-01` }
      )
      assert.equal(reply.status, 200)
      yield* idle
      const spans = exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId)
      const names = new Set(spans.map(({ name }) => name))
      for (
        const step of [
          "Identity.authenticate",
          "Synthesis.speak",
          "synthesis.policy",
          "synthesis.voice",
          "Accounting.hold",
          "synthesis.dispatch",
          "synthesis.first_audio",
          "http.encode"
        ]
      ) assert.ok(names.has(step), `${step} is among ${[...names].join(", ")}`)
      const speak = spans.find(({ name }) => name === "Synthesis.speak")!
      assert.equal(speak.attributes["request_id"], "traced")
      assert.equal(speak.attributes["tenant_id"], "acme")
      const dispatch = spans.find(({ name }) => name === "synthesis.dispatch")!
      assert.equal(dispatch.attributes["backend"], "A")
      assert.ok(
        !JSON.stringify(spans.map(({ attributes, events }) => [attributes, events])).includes("secret words"),
        "the text is nobody's to read"
      )
    }))
})
