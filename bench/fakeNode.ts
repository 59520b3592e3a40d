/**
 * An engine node that costs nothing. It prints its addresses, comma-separated.
 *
 * It speaks `--messages` of `--bytes` (48 KB in ten by default) at once, `--delay` ms after it was asked; or, with
 * `--pace`, one each so many ms, all calls by one timer, each message beginning with the time at which it was written.
 * With `--factor` it speaks one text after another, a second of sound for each 15 characters, so many times faster than it is
 * heard, asleep meanwhile: a machine of its own whatever else this one does.
 *
 * To a line on its standard input it then answers with what became of each paced call since the last line, by its text.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js"
import type { sendUnaryData, ServerWritableStream } from "@grpc/grpc-js"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { tuneCollector } from "../src/cli/Collector.ts"
import { takingCancels } from "../src/engine/node/Cancels.ts"
import { AudioServiceService, Cloning, EngineState } from "../src/proto/scaiinfer/v1/audio.ts"
import type {
  GetInfoResponse,
  ListVoicesResponse,
  SynthesizeEvent,
  SynthesizeRequest
} from "../src/proto/scaiinfer/v1/audio.ts"
import { monotonicMillis } from "./monotonicMillis.ts"

tuneCollector()
const { values } = parseArgs({
  options: {
    delay: { type: "string", default: "0" },
    messages: { type: "string", default: "10" },
    bytes: { type: "string", default: "4800" },
    pace: { type: "string", default: "0" },
    factor: { type: "string", default: "0" },
    ports: { type: "string", default: "1" }
  }
})
const [delayMillis, messages, paceMillis] = [Number(values.delay), Number(values.messages), Number(values.pace)]
const factor = Number(values.factor)
const sampleRate = 16000

/** Harmonics: about as hard to code as a voice, and no sample of it is silent. */
const message = new Uint8Array(
  Int16Array.from({ length: Number(values.bytes) / 2 }, (_, n) => {
    let value = 0
    for (let k = 1; k <= 12; k++) value += (0.2 / k) * Math.sin((2 * Math.PI * 120 * k * n) / sampleRate)
    return Math.round(20_000 * value) || 1
  }).buffer
)
const stamp = new DataView(message.buffer)

/** SHA-256 of the one clip that it claims to hold. */
const heldReference = Buffer.alloc(32, 1)

type Call = ServerWritableStream<SynthesizeRequest, SynthesizeEvent>

/** What became of a call, by the one clock of the machine. */
export interface Fate {
  readonly askedAt: number
  /** Its first audio was written. */
  firstAt?: number
  endedAt?: number
  cancelledAt?: number
}

const begin = (call: Call) =>
  call.write({
    event: {
      $case: "header",
      value: {
        sampleRate,
        model: "fake",
        modelVersion: "1",
        engine: "fake",
        ignoredParams: [],
        deterministic: true
      }
    }
  })
const speak = (call: Call) => call.write({ event: { $case: "audio", value: { pcm: message } } })
const end = (call: Call) => {
  call.write({ event: { $case: "done", value: { audioMs: 1500, generateMs: 0 } } })
  call.end()
}

const atOnce = (call: Call) => {
  begin(call)
  for (let i = 0; i < messages; i++) speak(call)
  end(call)
}

/** Calls, and the messages that each still has to write, by the millisecond of the period in which the next is due. */
const slots = Array.from({ length: paceMillis }, () => new Map<Call, number>())
const fates = new Map<string, Fate>()

const paced = (call: Call) => {
  const askedAt = monotonicMillis()
  const fate: Fate = { askedAt }
  fates.set(call.request.text, fate)
  const slot = slots[Math.floor(askedAt) % paceMillis]!
  slot.set(call, messages)
  call.once("cancelled", () => {
    fate.cancelledAt = monotonicMillis()
    slot.delete(call)
  })
  begin(call)
}

let due = Math.floor(monotonicMillis())
const writeWhatIsDue = () => {
  for (const now = monotonicMillis(); due <= now; due++) {
    const slot = slots[due % paceMillis]!
    for (const [call, left] of slot) {
      const at = monotonicMillis()
      const fate = left === messages ? fates.get(call.request.text) : undefined
      if (fate !== undefined) fate.firstAt = at
      stamp.setFloat64(0, at)
      speak(call)
      if (left > 1) slot.set(call, left - 1)
      else {
        slot.delete(call)
        const ended = fates.get(call.request.text)
        if (ended !== undefined) ended.endedAt = monotonicMillis()
        end(call)
      }
    }
  }
}
if (paceMillis > 0) setInterval(writeWhatIsDue, 1)

const charactersPerSecond = 15
const second = new Uint8Array(2 * sampleRate).map((_, i) => i >> 3)
let turn = Promise.resolve()
/** What was asked for first is spoken first. */
const inTurn = (call: Call) => {
  begin(call)
  turn = turn.then(async () => {
    const seconds = Math.ceil(call.request.text.length / charactersPerSecond)
    const began = performance.now()
    for (let said = 0; said < seconds && !call.cancelled;) {
      await sleep(Math.max(1, began + ((said + 1) * 1000) / factor - performance.now()))
      for (const due = ((performance.now() - began) * factor) / 1000; said < Math.min(due, seconds); said++) {
        call.write({ event: { $case: "audio", value: { pcm: second } } })
      }
    }
    if (!call.cancelled) end(call)
  })
}

const server = takingCancels(new Server())
server.addService(AudioServiceService, {
  synthesize: (call: Call) => {
    if (factor > 0) inTurn(call)
    else if (paceMillis > 0) paced(call)
    else if (delayMillis > 0) setTimeout(() => atOnce(call), delayMillis)
    else atOnce(call)
  },
  getInfo: (_: unknown, reply: sendUnaryData<GetInfoResponse>) =>
    reply(null, {
      nodeId: "fake",
      version: "1",
      engines: [{
        engine: "fake",
        model: "fake",
        modelVersion: "1",
        languages: ["en"],
        abilities: { cloning: Cloning.ZERO_SHOT, design: false, nativeWordTimes: false, streaming: true },
        state: EngineState.READY,
        stateReason: ""
      }],
      load: { capacity: factor > 0 ? 4 : 10_000, active: 0, queued: 0 },
      draining: false,
      heldReferences: [heldReference]
    }),
  listVoices: (_: unknown, reply: sendUnaryData<ListVoicesResponse>) =>
    reply(null, {
      voices: [{
        engine: "fake",
        name: "one",
        displayName: "One",
        description: "",
        languages: ["en"],
        gender: "neutral",
        styleTags: []
      }]
    })
})

const listen = () =>
  new Promise<string>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(`127.0.0.1:${port}`)
    )
  )
console.log((await Promise.all(Array.from({ length: Number(values.ports) }, listen))).join(","))

createInterface({ input: process.stdin }).on("line", () => {
  console.log(JSON.stringify(Object.fromEntries(fates)))
  for (const [text, { cancelledAt, endedAt }] of fates) if (cancelledAt ?? endedAt) fates.delete(text)
}).once("close", () => process.exit())
