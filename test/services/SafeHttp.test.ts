/** Requests to addresses that callers give, on real sockets: who is reached, with what, and for how long. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import assert from "node:assert/strict"
import { SafeHttp } from "../../src/services/SafeHttp.ts"
import type { OutboundRequest } from "../../src/services/SafeHttp.ts"
import { until } from "../layers/TestServer.ts"
import { type Drive, startDrive } from "../servers/Drive.ts"

class Hosts extends Context.Service<Hosts, { readonly one: Drive; readonly other: Drive; answers: Array<string> }>()(
  "test/Hosts"
) {
  static readonly layer = Layer.effect(
    Hosts,
    Effect.gen(function*() {
      const host = Effect.acquireRelease(Effect.promise(() => startDrive()), ({ stop }) => Effect.promise(stop))
      return { one: yield* host, other: yield* host, answers: [] }
    })
  )
}

const Client = Layer.unwrap(Effect.gen(function*() {
  const hosts = yield* Hosts
  return SafeHttp.layer({
    ports: [443, Number(new URL(hosts.one.url).port)],
    vouched: [new URL(hosts.other.url).host],
    resolve: async () =>
      (hosts.answers.length > 1 ? [hosts.answers.shift()!] : hosts.answers)
        .flatMap((all) => all.split(" "))
        .map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
  })
})).pipe(Layer.provideMerge(Hosts.layer))

const ask = (request: Partial<OutboundRequest> & { readonly url: string }) =>
  Effect.scoped(Effect.gen(function*() {
    const http = yield* SafeHttp
    const { body, status } = yield* http.request({ bytesMax: 1000, timeoutMs: 5000, ...request })
    return { status, text: Buffer.concat(yield* Stream.runCollect(body)).toString() }
  }))
const refusal = (request: Partial<OutboundRequest> & { readonly url: string }) =>
  Effect.map(Effect.flip(ask(request)), ({ kind, reason }) => `${kind}: ${reason}`)

layer(Client, { excludeTestServices: true })("requests to addresses of callers", (it) => {
  it.effect("a host that is vouched for is asked; one that is not public is not, by whatever name", () =>
    Effect.gen(function*() {
      const hosts = yield* Hosts
      const { one, other } = hosts
      other.links.set("/hello", (_, response) => response.end("hello"))
      assert.deepEqual(yield* ask({ url: `${other.url}/hello` }), { status: 200, text: "hello" })
      const { port } = new URL(one.url)
      for (const address of ["127.0.0.1", "::1", "1.1.1.1 10.0.0.1", "::ffff:7f00:1", "169.254.169.254"]) {
        hosts.answers = [address]
        assert.equal(
          yield* refusal({ url: `https://evil.example:${port}/` }),
          "refused: does not lead to a public host"
        )
      }
      assert.equal(yield* refusal({ url: `https://127.0.0.1:${port}/` }), "refused: does not lead to a public host")
      assert.equal(yield* refusal({ url: `https://[::1]:${port}/` }), "refused: does not lead to a public host")
      assert.equal(
        yield* refusal({ url: `https://[::ffff:127.0.0.1]:${port}/` }),
        "refused: does not lead to a public host"
      )
      assert.deepEqual(one.seen, [], "nothing came through")
    }))

  it.effect("a name is looked up once for a connection, so that it cannot change its mind in between", () =>
    Effect.gen(function*() {
      const hosts = yield* Hosts
      const { port } = new URL(hosts.one.url)
      // Public for the look, loopback for the connection: the connection goes to the first, where nobody is.
      hosts.answers = ["2001:4860:ffff::1", "127.0.0.1", "127.0.0.1"]
      const failed = yield* refusal({ url: `https://rebinding.example:${port}/`, timeoutMs: 1500 })
      assert.match(failed, /^(unreachable|timeout):/u)
      assert.deepEqual(hosts.one.seen, [])
      assert.equal(hosts.answers.length, 2)
    }))

  it.effect("redirects are held to the same rules, counted, and told nothing", () =>
    Effect.gen(function*() {
      const { one, other } = yield* Hosts
      const to = (location: string, status = 302) => (_: unknown, response: any) =>
        response.writeHead(status, { location }).end()
      other.links.set("/away", to(`${one.url}/secret`))
      other.links.set("/loop", to("/loop"))
      other.links.set("/odd", to("https://2130706433/"))
      other.links.set("/meta", to("http://169.254.169.254/latest/meta-data/"))
      other.links.set("/here", to("hello", 307))
      assert.equal(yield* refusal({ url: `${other.url}/away` }), "refused: is not https")
      assert.equal(yield* refusal({ url: `${other.url}/meta` }), "refused: is not https")
      assert.equal(
        yield* refusal({ url: `${other.url}/odd` }),
        "refused: has an IP address that is not plainly written"
      )
      assert.equal(yield* refusal({ url: `${other.url}/loop` }), "refused: redirects more than 5 times")
      assert.equal((yield* ask({ url: `${other.url}/here` })).text, "hello")
      assert.equal(one.seen.length, 0)
      // An address of the settings that redirects to another host gets nothing carried along.
      one.links.set("/moved", to(`${other.url}/hello`))
      const headers = { authorization: "Bearer of-the-caller" }
      other.seen.length = 0
      assert.equal((yield* ask({ url: `${one.url}/moved`, ours: true, headers })).text, "hello")
      assert.equal(one.seen.at(-1)?.authorization, headers.authorization)
      assert.deepEqual(other.seen, [{ url: "/hello", authorization: undefined }])
      const posted = yield* ask({ url: `${other.url}/away`, method: "POST", body: Buffer.from("{}") })
      assert.equal(posted.status, 302, "only GET follows")
    }))

  it.effect("posts a body", () =>
    Effect.gen(function*() {
      const { other } = yield* Hosts
      other.links.set("/hook", (request, response) => void request.pipe(response))
      const posted = yield* ask({
        url: `${other.url}/hook`,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: Buffer.from("{\"a\":1}")
      })
      assert.deepEqual(posted, { status: 200, text: "{\"a\":1}" })
    }))

  it.effect("bytes are bounded, whether they are announced or not, and nothing is unpacked", () =>
    Effect.gen(function*() {
      const { other } = yield* Hosts
      let written = 0
      other.links.set("/announced", (_, response) => response.end(Buffer.alloc(1001)))
      other.links.set("/endless", (_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(1 << 16))) written += 1 << 16
        }
        response.on("drain", more)
        more()
      })
      other.links.set("/packed", (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"))
      other.links.set("/fits", (_, response) => response.end(Buffer.alloc(1000)))
      assert.equal(yield* refusal({ url: `${other.url}/announced` }), "too large: gives more than 1000 bytes")
      assert.equal(yield* refusal({ url: `${other.url}/endless` }), "too large: gives more than 1000 bytes")
      assert.ok(written < 64 << 20, `${written} bytes were taken`)
      assert.match(yield* refusal({ url: `${other.url}/packed` }), /^refused: gives something compressed/u)
      assert.equal((yield* ask({ url: `${other.url}/fits` })).text.length, 1000)
    }))

  it.effect("time is bounded, before the first byte and after it, and nothing stays open", () =>
    Effect.gen(function*() {
      const { other } = yield* Hosts
      other.links.set("/silent", () => {})
      other.links.set("/dripping", (_, response) => {
        const timer = setInterval(() => response.write("x"), 50)
        response.on("close", () => clearInterval(timer))
      })
      assert.equal(yield* refusal({ url: `${other.url}/silent`, timeoutMs: 300 }), "timeout: takes too long to answer")
      assert.equal(
        yield* refusal({ url: `${other.url}/dripping`, timeoutMs: 300 }),
        "timeout: takes too long to answer"
      )
      const abandoned = yield* Effect.forkChild(ask({ url: `${other.url}/silent` }))
      yield* Effect.sleep(100)
      abandoned.interruptUnsafe()
      yield* until(Effect.promise(other.open), (open) => open === 0)
    }))
})
