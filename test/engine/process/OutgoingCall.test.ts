/** What a call inside an engine's process hands out, and how far it runs ahead of its listener. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { OutgoingCall } from "../../../src/engine/process/OutgoingCall.ts"
import { type FromProcess, windowBytes } from "../../../src/engine/process/Protocol.ts"
import type { SynthesizeRequest } from "../../../src/proto/scaiinfer/v1/audio.ts"

const make = (params: SynthesizeRequest["params"] = undefined) => {
  const posted: Array<FromProcess> = []
  const call = new OutgoingCall(1, { params } as SynthesizeRequest, 16000, (message) => posted.push(message))
  return { call, posted }
}

const hasRoom = (call: OutgoingCall) =>
  Promise.race([call.room().then(() => true), new Promise((resolve) => setImmediate(() => resolve(false)))])

describe("a call inside an engine's process", () => {
  it("waits once its window is full, until the listener has taken some", async () => {
    const { call } = make()
    call.audio(new Int16Array(windowBytes / 2 - 1))
    assert.equal(await hasRoom(call), true)
    call.audio(new Int16Array(1))
    assert.equal(await hasRoom(call), false)
    const waiting = call.room()
    call.taken(2)
    await waiting
  })

  it("does not wait, and makes nothing, once it is cancelled", async () => {
    const { call, posted } = make()
    call.audio(new Int16Array(windowBytes))
    const waiting = call.room()
    call.cancel()
    await waiting
    let made = 0
    await call.make(() => {
      made++
    })
    assert.equal(call.audio(new Int16Array(10)), false)
    call.end()
    assert.deepEqual([made, posted.map(({ type }) => type)], [0, ["audio", "done"]])
  })

  it("cuts the warm-up over pieces and counts words from behind it", async () => {
    const { call, posted } = make({ warmupTrimMs: 150 })
    await call.make((out) => void out.audio(new Int16Array(1600)))
    await call.make((out) => void out.audio(new Int16Array(1600), [{ text: "late", start: 400, end: 1600 }]))
    call.end()
    assert.deepEqual(
      posted.map((message) => message.type === "audio" ? [message.pcm.length, message.words] : message.type),
      [[1600, [{ text: "late", startMs: 0, endMs: 50, source: "native" }]], "done"]
    )
  })
})
