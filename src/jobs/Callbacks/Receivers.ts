/**
 * The places that receivers have in this process: so many deliveries at once to one origin and no more, so that one that
 * hangs holds its own places and nobody else's.
 *
 * Tenants with the same receiver share its places: whoever has the fewest goes first, and of those whoever has waited
 * longest. Nothing waits here: who finds no place is told when to ask again, and who does not is soon forgotten.
 */
import type { TenantId } from "../../domain/Ids.ts"

export interface Place {
  readonly origin: string
  readonly tenantId: TenantId
  /** Epoch ms. */
  readonly began: number
}

/** A tenant without a place: since when, and when one of its deliveries asks again. Epoch ms. */
interface Wait {
  readonly since: number
  readonly due: number
}

interface Receiver {
  readonly places: Set<Place>
  readonly waits: Map<TenantId, Wait>
}

/** A queue is looked at that often: sooner would be no sooner. */
const againMillisMin = 1_000
/** Beyond its time: the look that finds it, and its turn among the others. After that somebody else may have taken it. */
const lateMillisMax = 3_000

export class Receivers {
  readonly #placesMax: number
  readonly #receivers = new Map<string, Receiver>()

  /** `placesMax`: of one receiver. */
  constructor(placesMax: number) {
    this.#placesMax = placesMax
  }

  /** A place, to be left again; or when to ask again, in ms. */
  enter(
    origin: string,
    tenantId: TenantId,
    now: number
  ): { readonly place: Place } | { readonly againAfterMillis: number } {
    this.#forget(now)
    const receiver: Receiver = this.#receivers.get(origin) ?? { places: new Set(), waits: new Map() }
    this.#receivers.set(origin, receiver)
    const { places, waits } = receiver
    if (places.size < this.#placesMax && isNext(receiver, tenantId)) {
      const place = { origin, tenantId, began: now }
      places.add(place)
      waits.delete(tenantId)
      return { place }
    }
    const mine = waits.get(tenantId)
    // One delivery of each tenant asks soon, for all of them. The others give a receiver the time again that it has taken.
    if (mine === undefined || mine.due <= now) {
      waits.set(tenantId, { since: mine?.since ?? now, due: now + againMillisMin })
      return { againAfterMillis: againMillisMin }
    }
    const oldest = Math.min(now, ...Array.from(places, ({ began }) => began))
    return { againAfterMillis: Math.max(againMillisMin, now - oldest) }
  }

  leave(place: Place): void {
    const receiver = this.#receivers.get(place.origin)
    receiver?.places.delete(place)
    if (receiver?.places.size === 0 && receiver.waits.size === 0) this.#receivers.delete(place.origin)
  }

  /** Receivers of which anything is known. */
  get size(): number {
    return this.#receivers.size
  }

  #forget(now: number): void {
    for (const [origin, { places, waits }] of this.#receivers) {
      for (const [tenantId, { due }] of waits) if (due + lateMillisMax < now) waits.delete(tenantId)
      if (places.size === 0 && waits.size === 0) this.#receivers.delete(origin)
    }
  }
}

/** Whether no other tenant that waits goes before. */
const isNext = ({ places, waits }: Receiver, tenantId: TenantId): boolean => {
  const placesOf = (tenant: TenantId) => Array.from(places).filter((place) => place.tenantId === tenant).length
  const own = placesOf(tenantId)
  const since = waits.get(tenantId)?.since ?? Infinity
  return Array.from(waits).every(([other, wait]) => {
    const theirs = placesOf(other)
    return other === tenantId || theirs > own || (theirs === own && wait.since >= since)
  })
}
