/** Effect's own persistence modules on the one connection of this process: commands and scripts, nothing that blocks. */
import { Effect, Layer } from "effect"
import { Redis as PersistenceRedis } from "effect/persistence"
import { Redis } from "../Redis.ts"

const failed = (cause: unknown) => new PersistenceRedis.RedisError({ cause })

/** A connection that waits for a message or a list would hold up every command behind it. */
const notHere = (what: string) => Effect.fail(failed(new Error(`${what} needs a connection of its own`)))

export const layer: Layer.Layer<PersistenceRedis.Redis, never, Redis> = Layer.effect(
  PersistenceRedis.Redis,
  Effect.gen(function*() {
    const redis = yield* Redis
    return yield* PersistenceRedis.make({
      send: <A>(command: string, ...args: ReadonlyArray<string>) =>
        redis.use((client) => client.call(command, ...args) as Promise<A>).pipe(
          Effect.mapError(({ cause }) => failed(cause))
        ),
      subscribe: () => notHere("a subscription"),
      connect: notHere("a blocking command")
    })
  })
)
