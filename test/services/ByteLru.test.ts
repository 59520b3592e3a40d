/** The bound and the order, against a model that is nothing but a list. */
import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { ByteLru } from "../../src/services/ByteLru.ts"

const bytesMax = 100
const Step = Schema.Struct({
  what: Schema.Literals(["get", "set", "set", "set", "delete"]),
  key: Schema.Literals(["a", "b", "c", "d", "e", "f"]),
  bytes: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 120 }))
})

describe("ByteLru", () => {
  it.prop("keeps what was used last, never more than its bound", [Schema.Array(Step)], ([steps]) => {
    const lru = new ByteLru<string>(bytesMax)
    /** The last used first. */
    let model: Array<{ key: string; value: string; bytes: number }> = []
    const sum = () => model.reduce((all, { bytes }) => all + bytes, 0)
    for (const [n, { bytes, key, what }] of steps.entries()) {
      const value = `${key}${n}`
      const known = model.find((entry) => entry.key === key)
      model = model.filter((entry) => entry !== known)
      if (what === "set") {
        const gone = known === undefined ? [] : [known.value]
        if (bytes > bytesMax) gone.push(value)
        else {
          model.unshift({ key, value, bytes })
          while (sum() > bytesMax) gone.push(model.pop()!.value)
        }
        assert.deepEqual(lru.set(key, value, bytes), gone)
      } else {
        assert.equal(what === "get" ? lru.get(key) : lru.delete(key), known?.value)
        if (what === "get" && known !== undefined) model.unshift(known)
      }
      assert.deepEqual(lru.values(), model.map((entry) => entry.value))
      assert.deepEqual([lru.size, lru.bytes], [model.length, sum()])
      assert.ok(lru.bytes <= bytesMax)
    }
  }, { arbitrary: { runs: 1000 } })
})
