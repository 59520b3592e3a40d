/**
 * The inside of an engine's process: reads the model, lets it speak its probe, and serves calls piece by piece in turn.
 *
 * A process ends with its node: at once when the channel closes, and by its guard when the model holds the thread. It
 * keeps nothing worth saving, so that it may be killed at any time.
 */
import { setImmediate } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { activeLevel } from "../flite/Loudness.ts"
import { CannotLoad, type Model, type Out, Refused } from "./Model.ts"
import { OutgoingCall } from "./OutgoingCall.ts"
import type { FromProcess, ToProcess } from "./Protocol.ts"

/** dBFS. Quieter than any voice by 30 dB: a model that makes this is broken. */
const silenceDbfs = -60

/** Serves the model that `load` reads from the settings given to `EngineProcess.make`. To be called once, at start. */
export const host = <Settings>(load: (settings: Settings) => Promise<Model>): void => {
  process.once("disconnect", endNow)
  new Worker(new URL("./guard.ts", import.meta.url), { workerData: process.ppid }).unref()
  const calls = new Map<number, OutgoingCall>()
  let model: Model | undefined

  process.on("message", (message: ToProcess) => {
    switch (message.type) {
      case "load":
        return void read(load, message.settings as Settings).then((it) => {
          model = it
        })
      case "speak": {
        const call = new OutgoingCall(message.id, message.request, model!.facts.sampleRate, post)
        calls.set(message.id, call)
        return void speak(model!, call).finally(() => calls.delete(message.id))
      }
      case "taken":
        return calls.get(message.id)?.taken(message.bytes)
      case "cancel":
        return calls.get(message.id)?.cancel()
    }
  })
}

const endNow = () => process.kill(process.pid, "SIGKILL")

/** When the channel is closed, nobody is left to tell. */
const post = (message: FromProcess): void => void process.send?.(message, undefined, undefined, () => {})

const read = async <Settings>(load: (settings: Settings) => Promise<Model>, settings: Settings) => {
  try {
    const model = await load(settings)
    await tryOut(model)
    post({ type: "ready", facts: model.facts })
    return model
  } catch (cause) {
    post({ type: "unusable", reason: messageOf(cause), lasting: cause instanceof CannotLoad && cause.lasting })
    return undefined
  }
}

const tryOut = async ({ facts, pieces, probe }: Model) => {
  const heard: Array<number> = []
  const out: Out = {
    audio: (samples) => {
      for (const sample of samples) heard.push(sample)
      return true
    }
  }
  for (const piece of pieces(probe)) await piece(out)
  if (heard.length === 0) throw new CannotLoad("the model speaks its probe with no audio")
  const level = activeLevel(Int16Array.from(heard), facts.sampleRate)
  if (!(level > silenceDbfs)) throw new CannotLoad("the model speaks its probe with silence")
}

const speak = async ({ pieces }: Model, call: OutgoingCall) => {
  try {
    for (const piece of pieces(call.request)) {
      await call.room()
      await inTurn(() => call.make(piece))
      if (call.cancelled) break
    }
    call.end()
  } catch (cause) {
    const { id } = call
    post(
      cause instanceof Refused
        ? { type: "refused", id, field: cause.field, message: cause.message }
        : { type: "failed", id, reason: messageOf(cause) }
    )
  }
}

let turn: Promise<unknown> = Promise.resolve()

/** First come, first served. Messages are read between two pieces, however busy the thread is. */
const inTurn = (make: () => Promise<void>): Promise<void> => {
  const made = turn.then(() => setImmediate()).then(make)
  turn = made.catch(() => {})
  return made
}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
