/** When a job's end is told again. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { askedMillis, callbackWaitMillis } from "../../src/domain/Callback.ts"

const second = 1000
const hour = 3600 * second

describe("the wait after an attempt that failed", () => {
  const table: ReadonlyArray<readonly [attempts: number, asked: number | undefined, wait: number]> = [
    [1, undefined, 5 * second],
    [2, undefined, 300 * second],
    [7, undefined, 8 * hour],
    [1, 0, 5 * second],
    [1, 3 * second, 5 * second],
    [1, 60 * second, 60 * second],
    [2, 60 * second, 300 * second],
    [4, 3 * hour, 3 * hour],
    [1, 8 * hour, 8 * hour],
    [1, 9 * hour, 8 * hour],
    [7, 1000 * hour, 8 * hour]
  ]
  for (const [attempts, asked, wait] of table) {
    const told = asked === undefined ? "" : ` that asks for ${asked / second} s`
    it(`${attempts}${told} is ${wait / second} s`, () => assert.equal(callbackWaitMillis(attempts, asked), wait))
  }
})

describe("what a receiver asks for", () => {
  const now = Date.UTC(2026, 7, 1, 12)
  const table: ReadonlyArray<readonly [status: number, header: string | undefined, millis: number | undefined]> = [
    [429, "120", 120 * second],
    [503, "0", 0],
    [503, " 7 ", 7 * second],
    [429, "Sat, 01 Aug 2026 12:01:30 GMT", 90 * second],
    [429, "Saturday, 01-Aug-26 12:01:30 GMT", 90 * second],
    [503, "Sat, 01 Aug 2026 11:00:00 GMT", 0],
    [503, "soon", undefined],
    [503, "", undefined],
    [503, "-5", undefined],
    [503, undefined, undefined],
    [500, "120", undefined],
    [301, "120", undefined]
  ]
  for (const [status, header, millis] of table) {
    it(`with ${status} and Retry-After ${header === undefined ? "absent" : `"${header}"`}: ${millis ?? "nothing"}`, () =>
      assert.equal(askedMillis(status, header, now), millis))
  }
})
