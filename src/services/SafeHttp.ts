/**
 * HTTP to addresses that callers give: clips to fetch, webhooks to call.
 *
 * Promises: nothing is sent to an address that is not public, whatever a name resolves to and however often it changes its
 * mind, for the address that was looked at is the one that is connected to; every redirect is held to the same rules, and
 * takes along no header that says who asks; bytes and time are bounded; nothing is unpacked. Closing the scope aborts.
 */
import { Context, Data, Effect, Layer, Result, type Scope, Stream } from "effect"
import ipaddr from "ipaddr.js"
import type { LookupAddress, LookupOptions } from "node:dns"
import { lookup as lookupName } from "node:dns/promises"
import type { LookupFunction } from "node:net"
import { Agent, type Dispatcher, request as send } from "undici"
import { decideUrl, hostAndPort } from "../domain/OutboundUrl.ts"
import type { OutboundRules, OutboundUrl } from "../domain/OutboundUrl.ts"
import { whyNotPublic } from "../domain/PublicAddress.ts"

/** Of a request, and what may be told of it to whoever gave the address. `reason` continues "The address …". */
export class OutboundFailed extends Data.TaggedError("OutboundFailed")<{
  readonly kind: "refused" | "unreachable" | "timeout" | "too large"
  readonly reason: string
}> {}

export interface OutboundRequest {
  readonly url: string
  /** The origin of `url` comes from the settings, not from a caller: it is vouched for. */
  readonly ours?: boolean
  /** GET follows redirects; the answer to anything else is what comes first. */
  readonly method?: "GET" | "POST"
  /** Sent to the origin of `url` and nowhere else. */
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array
  /** Of the answer's body. */
  readonly bytesMax: number
  /** From the beginning to the answer's last byte. */
  readonly timeoutMs: number
}

export interface OutboundAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  /** To be run once, while the scope is open. Fails beyond `bytesMax`, or if it is packed. */
  readonly body: Stream.Stream<Uint8Array, OutboundFailed>
}

export interface SafeHttpOptions extends OutboundRules {
  /** All addresses of a name; the system's resolver if absent. */
  readonly resolve?: (hostname: string) => Promise<ReadonlyArray<LookupAddress>>
}

/** Name, connection and TLS. */
const connectMillisMax = 5_000
/** From the request to the answer's first byte. */
const firstByteMillisMax = 10_000
const redirectsMax = 5
const redirects = new Set([301, 302, 303, 307, 308])
const headerBytesMax = 16 * 1024

const isPublic = (address: string): boolean => {
  try {
    return whyNotPublic(ipaddr.parse(address).toByteArray()) === undefined
  } catch {
    return false
  }
}

/** Not told apart from a name that does not exist: what this machine can reach is nobody's business. */
const notPublic = new OutboundFailed({ kind: "refused", reason: "does not lead to a public host" })

export class SafeHttp extends Context.Service<SafeHttp, {
  /** Answers of any status are answers. */
  readonly request: (options: OutboundRequest) => Effect.Effect<OutboundAnswer, OutboundFailed, Scope.Scope>
}>()("scaispeak/SafeHttp") {
  static readonly layer = (options: SafeHttpOptions) => Layer.effect(SafeHttp, make(options))
}

const make = Effect.fnUntraced(function*(options: SafeHttpOptions) {
  const agent = yield* agentOf(guarded(options.resolve ?? ((name) => lookupName(name, { all: true }))))
  const vouchedAgent = yield* agentOf(undefined)

  const ask = (
    { url, vouched }: OutboundUrl,
    { body, headers, method = "GET" }: OutboundRequest,
    signal: AbortSignal
  ) =>
    Effect.tryPromise({
      try: () =>
        send(url, {
          method,
          headers: { "accept-encoding": "identity", "user-agent": "scaispeak", ...headers },
          body: body ?? null,
          dispatcher: vouched ? vouchedAgent : agent,
          signal
        }),
      catch: failureOf
    })

  const request = Effect.fn("SafeHttp.request")(function*(asked: OutboundRequest) {
    const aborter = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const aborter = new AbortController()
        const timer = setTimeout(() => aborter.abort(timedOut), asked.timeoutMs)
        aborter.signal.addEventListener("abort", () => clearTimeout(timer), { once: true })
        return aborter
      }),
      (aborter) => Effect.sync(() => aborter.abort())
    )
    const rules = asked.ours === true
      ? { ...options, vouched: [...options.vouched, hostAndPort(new URL(asked.url))] }
      : options
    let at = yield* allowed(asked.url, rules)
    const { origin } = at.url
    for (let followed = 0;; followed++) {
      const strange = at.url.origin !== origin
      const { body: _, headers: __, ...bare } = asked
      const answer = yield* ask(at, strange ? bare : asked, aborter.signal)
      // An answer that nobody reads may end in an error that nobody hears.
      answer.body.on("error", () => {})
      const location = answer.headers["location"]
      const follows = (asked.method ?? "GET") === "GET" && redirects.has(answer.statusCode) &&
        typeof location === "string"
      if (!follows) return answered(answer, asked)
      answer.body.destroy()
      if (followed === redirectsMax) {
        return yield* new OutboundFailed({ kind: "refused", reason: `redirects more than ${redirectsMax} times` })
      }
      at = yield* allowed(absolute(location, at.url), rules, at.url)
    }
  })

  return SafeHttp.of({ request })
})

const allowed = (text: string, rules: OutboundRules, previous?: URL): Effect.Effect<OutboundUrl, OutboundFailed> => {
  const decided = decideUrl(text, rules, previous)
  if (Result.isFailure(decided)) return new OutboundFailed({ kind: "refused", reason: decided.failure })
  const { url, vouched } = decided.success
  // Addresses are connected to without being looked up.
  const literal = url.hostname.replace(/^\[|\]$/gu, "")
  return vouched || !ipaddr.isValid(literal) || isPublic(literal) ? Effect.succeed(decided.success) : notPublic
}

/** A location that is whole keeps its own notation, so that it is judged as it is written. */
const absolute = (location: string, base: URL): string =>
  URL.canParse(location) || !URL.canParse(location, base.href) ? location : new URL(location, base).href

const answered = (
  { body, headers, statusCode }: Dispatcher.ResponseData,
  { bytesMax }: OutboundRequest
): OutboundAnswer => {
  const tooLarge = new OutboundFailed({ kind: "too large", reason: `gives more than ${bytesMax} bytes` })
  const packed = new OutboundFailed({ kind: "refused", reason: "gives something compressed that was asked for plain" })
  const answer = { status: statusCode, headers }
  if ((headers["content-encoding"] ?? "identity") !== "identity") return { ...answer, body: Stream.fail(packed) }
  if (Number(headers["content-length"] ?? 0) > bytesMax) return { ...answer, body: Stream.fail(tooLarge) }
  let bytes = 0
  return {
    ...answer,
    body: Stream.fromAsyncIterable(body as AsyncIterable<Uint8Array>, failureOf).pipe(
      Stream.mapEffect((chunk) => {
        bytes += chunk.length
        return bytes > bytesMax ? Effect.fail(tooLarge) : Effect.succeed(chunk)
      })
    )
  }
}

const agentOf = (lookup: LookupFunction | undefined) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Agent({
        connect: { timeout: connectMillisMax, ...(lookup === undefined ? {} : { lookup }) },
        headersTimeout: firstByteMillisMax,
        maxHeaderSize: headerBytesMax,
        keepAliveTimeout: 1_000,
        keepAliveMaxTimeout: 5_000
      })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )

/** A name with one address that is not public has none that is: the next answer could be the other one. */
const guarded = (resolve: NonNullable<SafeHttpOptions["resolve"]>): LookupFunction => (hostname, options, done) => {
  resolve(hostname).then(
    (found) => {
      const wanted = found.filter(({ family }) => !familyOf(options) || family === familyOf(options))
      const first = wanted[0]
      if (first === undefined || !found.every(({ address }) => isPublic(address))) return done(notPublic, "", 0)
      if (options.all === true) done(null, [...wanted])
      else done(null, first.address, first.family)
    },
    () => done(notPublic, "", 0)
  )
}

const familyOf = ({ family }: LookupOptions) => family === "IPv4" ? 4 : family === "IPv6" ? 6 : family

const timedOut = new OutboundFailed({ kind: "timeout", reason: "takes too long to answer" })

const failureOf = (cause: unknown): OutboundFailed => {
  if (cause instanceof OutboundFailed) return cause
  const code = String((cause as { code?: unknown } | null)?.code)
  return code.endsWith("_TIMEOUT") ? timedOut : new OutboundFailed({ kind: "unreachable", reason: "cannot be reached" })
}
