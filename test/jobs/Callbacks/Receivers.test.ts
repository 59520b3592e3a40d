/** How many deliveries a receiver has at once, and whose. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { TenantId } from "../../../src/domain/Ids.ts"
import { Receivers } from "../../../src/jobs/Callbacks/Receivers.ts"
import type { Place } from "../../../src/jobs/Callbacks/Receivers.ts"

const [acme, globex, initech] = ["acme", "globex", "initech"].map((name) => TenantId.make(name)) as [
  TenantId,
  TenantId,
  TenantId
]
const slow = "https://slow.example"
const quick = "https://quick.example"

/** Receivers with two places each, asked in seconds. */
const receivers = () => {
  const them = new Receivers(2)
  return {
    /** A place, or the seconds after which to ask again. */
    enter: (origin: string, tenantId: TenantId, seconds: number): Place | number => {
      const entered = them.enter(origin, tenantId, seconds * 1000)
      return "place" in entered ? entered.place : entered.againAfterMillis / 1000
    },
    leave: (place: Place | number) => them.leave(place as Place),
    size: () => them.size
  }
}
const isPlace = (entered: Place | number) => typeof entered === "object"

describe("a receiver's places", () => {
  it("are its own: one that hangs takes none of another's, whatever its scheme, host and port", () => {
    const { enter } = receivers()
    assert.ok(isPlace(enter(slow, acme, 0)) && isPlace(enter(slow, acme, 0)))
    assert.equal(enter(slow, acme, 0), 1)
    assert.ok(isPlace(enter(quick, acme, 0)) && isPlace(enter(`${slow}:8443`, acme, 0)))
  })

  it("are asked for again soon by one of those that wait, and by the others the later the longer it takes", () => {
    const { enter } = receivers()
    enter(slow, acme, 0)
    enter(slow, acme, 5)
    assert.deepEqual([enter(slow, acme, 9), enter(slow, acme, 9), enter(slow, acme, 9)], [1, 9, 9])
    assert.deepEqual([enter(slow, acme, 10), enter(slow, acme, 10)], [1, 10])
  })

  it("go to a tenant that has none before one that has, and to whoever has waited longest among equals", () => {
    const { enter, leave } = receivers()
    const first = enter(slow, acme, 0)
    const second = enter(slow, acme, 0)
    assert.equal(enter(slow, globex, 1), 1)
    assert.equal(enter(slow, initech, 2), 1)
    leave(first)
    assert.equal(enter(slow, acme, 2), 1, "two others have none")
    assert.equal(enter(slow, initech, 3), 1, "globex came before")
    assert.ok(isPlace(enter(slow, globex, 3)))
    leave(second)
    assert.equal(enter(slow, globex, 4), 1, "initech has none")
    assert.ok(isPlace(enter(slow, initech, 4)))
  })

  it("are not kept for a tenant that does not ask again", () => {
    const { enter, leave } = receivers()
    const first = enter(slow, acme, 0)
    enter(slow, acme, 0)
    enter(slow, globex, 0)
    leave(first)
    assert.equal(enter(slow, acme, 4), 1)
    assert.ok(isPlace(enter(slow, acme, 5)))
  })

  it("are forgotten with the last of them, and with whoever waited for them", () => {
    const { enter, leave, size } = receivers()
    const places = [enter(slow, acme, 0), enter(slow, acme, 0)]
    enter(slow, globex, 0)
    for (const place of places) leave(place)
    assert.equal(size(), 1, "globex will ask again")
    leave(enter(quick, acme, 5))
    assert.equal(size(), 0)
  })
})
