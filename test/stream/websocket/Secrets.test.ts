/** The token of a socket is nobody's to read: not in a span, not in a log, not in an audit row. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { layer } from "@effect/vitest"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, Layer, Logger, References } from "effect"
import assert from "node:assert/strict"
import { TestServer, until } from "../../layers/TestServer.ts"
import { RawClient, refused } from "./RawClient.ts"
import { allFreed, bearer, openFrame } from "./Session.ts"

const exporter = new InMemorySpanExporter()
const Sdk = NodeSdk.layer(() => ({
  resource: { serviceName: "scaispeak" },
  spanProcessor: new SimpleSpanProcessor(exporter)
}))

const lines: Array<string> = []
const Logs = Logger.layer([Logger.make((entry) => {
  lines.push(Logger.formatJson.log(entry))
})])

const Server = TestServer.layer({}, Layer.merge(Logs, Layer.succeed(References.MinimumLogLevel, "All"))).pipe(
  Layer.provide(Sdk)
)

/** A live recording that is too short, and one frame that is none. */
const recorded = (url: string, protocols: Array<string>) =>
  new Promise<void>((done) => {
    const socket = new WebSocket(url.replace(/^http/u, "ws"), protocols)
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ type: "open", part: "consent", sample_rate: 16_000, codec: "pcm" }))
      socket.send(new Uint8Array(3200))
      socket.send("no frame")
    })
    socket.addEventListener("close", () => done())
    socket.addEventListener("error", () => done())
  })

layer(Server, { excludeTestServices: true })("a token", (it) => {
  it.effect("of a socket is in no span and no log line, and the session has a span", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const token = yield* key("acme", "ada", "tenant_admin")
      const secret = token.slice("sgk_".length)
      const ways = [
        { headers: bearer(token) },
        { query: `?token=${token}` },
        { headers: { "Sec-WebSocket-Protocol": `scaispeak.v1, scaispeak.bearer.${token}` } }
      ]
      exporter.reset()
      for (const [i, way] of ways.entries()) {
        const client = yield* Effect.promise(() =>
          RawClient.connect(url, {
            ...way,
            headers: { ...way.headers, "X-Request-Id": `way-${i}` } as Record<string, string>
          })
        )
        client.say(openFrame(i === 0 ? "crash" : "spell"), { type: "text", delta: "Hello. My secret words." }, {
          type: "close"
        })
        yield* until(Effect.sync(() => client.closed), (closed) => closed)
        // And what is refused, or is no upgrade, or is wrong.
        for (
          const wrong of [
            { Upgrade: "", Connection: "" },
            { "Sec-WebSocket-Key": "x" },
            { "Sec-WebSocket-Version": "1" }
          ]
        ) {
          yield* Effect.promise(() =>
            refused(url, { ...way, headers: { ...way.headers, ...wrong } as Record<string, string> })
          )
        }
        yield* Effect.promise(() => refused(url, { query: `?token=${token}x` }))
        yield* Effect.promise(() => refused(`${url}/nowhere`, { query: `?token=${token}` }))
      }
      for (const [query, ...protocols] of [[`?token=${token}`], ["", "scaispeak.v1", `scaispeak.bearer.${token}`]]) {
        yield* Effect.promise(() => recorded(`${url}/voices/record${query}`, protocols))
      }
      yield* allFreed
      const spans = yield* until(
        Effect.sync(() => exporter.getFinishedSpans()),
        (spans) => spans.filter(({ name }) => name === "stream.speak").length === 3
      )
      const told = JSON.stringify(
        spans.map(({ attributes, events, name, status }) => [name, attributes, events, status])
      )
      assert.ok(!told.includes(secret), "a span tells")
      assert.ok(!told.includes("secret words"), "a span has the text")
      assert.ok(lines.length > 0, "nothing was logged")
      assert.ok(!lines.some((line) => line.includes(secret)), "a log line tells")
      assert.ok(!lines.some((line) => line.includes("secret words")), "a log line has the text")
      assert.ok(told.includes("REDACTED"))
      const sessions = spans.filter(({ name }) => name === "stream.speak")
      assert.deepEqual(sessions.map(({ attributes }) => attributes["request_id"]), ["way-0", "way-1", "way-2"])
      assert.ok(sessions.every(({ attributes }) => String(attributes["session"]).startsWith("ses_")))
      const requests = new Set(spans.map((span) => span.spanContext().spanId))
      assert.ok(sessions.every(({ parentSpanContext }) => requests.has(parentSpanContext?.spanId ?? "")))
    }))
})
