/**
 * The WebSockets of this process: how many, for whom, and whether their peers are still there.
 *
 * All of them are pinged by one clock; a peer that was silent from one ping to the next is gone. At shutdown those that
 * wait are told so.
 */
import { Context, Effect, Layer, Metric, Schedule } from "effect"
import type { Scope } from "effect"
import { ConcurrencyLimited, ShuttingDown } from "../../domain/Failure.ts"
import type { TenantId } from "../../domain/Ids.ts"
import { held } from "../../services/Held.ts"
import type { LiveSocket } from "./LiveSocket.ts"

/** At once, of a tenant in this process, whatever they do: about 100 MB. */
const tenantSocketsMax = 4096

export class Sockets extends Context.Service<Sockets, {
  /** Takes a place for a socket of the tenant until the scope closes. */
  readonly place: (tenant: TenantId) => Effect.Effect<void, ConcurrencyLimited, Scope.Scope>
  /** From now on the socket is looked after, until it is closed. */
  readonly watch: (socket: LiveSocket) => void
  /** Closes those that nothing hangs on, as from a server that restarts. */
  readonly leave: Effect.Effect<void>
  readonly count: () => number
}>()("scaispeak/stream/Sockets") {
  /** `pingMs`: a peer that says nothing for twice as long is gone. */
  static readonly layer = ({ pingMs }: { readonly pingMs: number }) =>
    Layer.effect(
      Sockets,
      Effect.gen(function*() {
        const open = new Set<LiveSocket>()
        const places = new Map<TenantId, number>()

        const look = Effect.suspend(() => {
          for (const socket of open) {
            if (socket.wasHeard) socket.ping()
            else socket.reset()
          }
          return Metric.update(openGauge, open.size)
        })
        yield* Effect.forkScoped(Effect.repeat(Effect.delay(look, pingMs), Schedule.forever))

        return Sockets.of({
          place: (tenant) =>
            held(
              Effect.suspend(() => {
                const taken = places.get(tenant) ?? 0
                if (taken >= tenantSocketsMax) return Effect.fail(new ConcurrencyLimited({ limit: tenantSocketsMax }))
                places.set(tenant, taken + 1)
                return Effect.void
              }),
              () =>
                Effect.sync(() => {
                  const taken = places.get(tenant)!
                  if (taken === 1) places.delete(tenant)
                  else places.set(tenant, taken - 1)
                })
            ),
          watch: (socket) => {
            open.add(socket)
            socket.once("close", () => open.delete(socket))
          },
          leave: Effect.sync(() => {
            for (const socket of open) if (socket.isWaiting) socket.refuse(new ShuttingDown())
          }),
          count: () => open.size
        })
      })
    )
}

const openGauge = Metric.gauge("scaispeak_sockets", { description: "Open WebSockets" })
