/**
 * The one connection to Redis that commands share, and further ones for what would hold it up.
 *
 * It connects at the first command and by itself ever after. While Redis is away a command fails at once: nothing is
 * queued, nothing is sent twice.
 */
import { Context, Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import type { Redis as Client } from "ioredis"
import { createHash } from "node:crypto"
import { StorageUnavailable } from "../domain/Failure.ts"

/** The longest that a command may take, connecting included: a hung server must not hold requests. */
const commandMillisMax = 500
const connectMillisMax = 500
/** A socket that owes a reply for so long is dropped and opened anew. */
const silenceMillisMax = 1000
const reconnectMillisMax = 1000

/** A Lua script, sent whole only where the server does not know it yet. */
export interface Script {
  readonly lua: string
  readonly sha1: string
}

export const script = (lua: string): Script => ({ lua, sha1: createHash("sha1").update(lua).digest("hex") })

export class Redis extends Context.Service<Redis, {
  /** Runs one command, or one `multi` block, of the client. */
  readonly use: <A>(command: (client: Client) => Promise<A>) => Effect.Effect<A, StorageUnavailable>
  /** One round trip: every key and argument goes along, the reply is what the script returns. */
  readonly evaluate: (
    script: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Effect.Effect<unknown, StorageUnavailable>
  readonly health: Effect.Effect<void, StorageUnavailable>
  /**
   * A connection of its own, for subscriptions; closed with the scope. It is not connected yet, reconnects by itself once
   * it was, and subscribes to nothing by itself.
   */
  readonly dedicated: Effect.Effect<Client, never, Scope.Scope>
}>()("scaispeak/Redis") {
  /** Building it does no I/O: Redis may be away when the program starts. */
  static readonly layer = (url: Redacted.Redacted) =>
    Layer.effect(
      Redis,
      Effect.gen(function*() {
        const client = yield* connection(url, "commands")
        let first: Promise<void> | undefined
        const opened = () => first ??= client.connect()
        const use = <A>(command: (client: Client) => Promise<A>) =>
          Effect.tryPromise({
            // Only the very first connection is waited for; when one is lost, callers need an answer, not a queue.
            try: () => client.status === "ready" ? command(client) : opened().then(() => command(client)),
            catch: unavailable
          })
        return Redis.of({
          use,
          evaluate: (script, keys, args) =>
            use((client) =>
              client.evalsha(script.sha1, keys.length, ...keys, ...args).catch((cause) => {
                if (!String(cause).includes("NOSCRIPT")) throw cause
                return client.eval(script.lua, keys.length, ...keys, ...args)
              })
            ),
          health: Effect.asVoid(use((client) => client.ping())),
          dedicated: connection(url, "subscriptions")
        })
      })
    )
}

const unavailable = (cause: unknown) => new StorageUnavailable({ store: "redis", cause })

const connection = Effect.fnUntraced(function*(url: Redacted.Redacted, purpose: string) {
  const context = yield* Effect.context<never>()
  // Loaded here, so that a server without Redis never pays for it.
  const { Redis: IoRedis } = yield* Effect.promise(() => import("ioredis"))
  const client = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new IoRedis(Redacted.value(url), {
        lazyConnect: true,
        enableOfflineQueue: false,
        // A command that was under way when the connection broke may have run: failing it is the only honest answer.
        maxRetriesPerRequest: 0,
        autoResendUnfulfilledCommands: false,
        commandTimeout: commandMillisMax,
        connectTimeout: connectMillisMax,
        socketTimeout: silenceMillisMax,
        retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), reconnectMillisMax),
        autoResubscribe: false,
        connectionName: "scaispeak"
      })
    ),
    (client) => Effect.sync(() => client.disconnect())
  )
  const run = Effect.runForkWith(context)
  let away = false
  client.on("error", (cause) => {
    if (!away) run(Effect.logWarning("redis is away", { purpose }, cause))
    away = true
  })
  client.on("ready", () => {
    if (away) run(Effect.logInfo("redis is back", { purpose }))
    away = false
  })
  return client
})
