/** One call through `POST /speak`, as its caller sees it: what came, how it ended, and how long anything took. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Caller } from "./Cast.ts"

export interface Call {
  readonly caller: Caller
  /** Epoch ms. */
  readonly startedAt: number
  status: number
  /** Of an error's envelope. */
  code: string | undefined
  backend: string | undefined
  synthesisId: string | undefined
  /** Bytes so far. */
  heard: number
  /** All that came, at the end. */
  bytes: Buffer
  /** The connection broke before the end of the reply. */
  broken: boolean
  /** ms to the head of the reply. */
  answeredMillis: number
  /** Longest wait for a piece, ms, without what the caller itself took. */
  silenceMillis: number
  totalMillis: number
}

/** Everything that is under way now, for whoever waits for the right moment. */
export const makeCalls = (url: string, keys: Record<string, string>) => {
  const open = new Set<Call>()

  const speak = async (caller: Caller): Promise<Call> => {
    const began = performance.now()
    const since = (at: number) => performance.now() - at
    const call: Call = {
      caller,
      startedAt: Date.now(),
      status: 0,
      code: undefined,
      backend: undefined,
      synthesisId: undefined,
      heard: 0,
      bytes: Buffer.alloc(0),
      broken: false,
      answeredMillis: 0,
      silenceMillis: 0,
      totalMillis: 0
    }
    open.add(call)
    const response = await fetch(`${url}/speak`, {
      method: "POST",
      headers: { authorization: `Bearer ${keys[caller.tenant]}`, "content-type": "application/json" },
      body: JSON.stringify({ text: caller.text, voice_id: caller.voice, response_format: "pcm" })
    })
    call.answeredMillis = since(began)
    call.status = response.status
    call.backend = response.headers.get("x-scaispeak-backend") ?? undefined
    call.synthesisId = response.headers.get("x-scaispeak-synthesis-id") ?? undefined
    const pieces: Array<Uint8Array> = []
    const reader = response.body!.getReader()
    try {
      for (;;) {
        const waiting = performance.now()
        const { done, value } = await reader.read()
        call.silenceMillis = Math.max(call.silenceMillis, since(waiting))
        if (done) break
        pieces.push(value)
        call.heard += value.length
        if (caller.paceMillis > 0) await sleep(caller.paceMillis)
      }
    } catch {
      call.broken = true
    }
    call.bytes = Buffer.concat(pieces)
    if (response.status !== 200) call.code = JSON.parse(call.bytes.toString()).error.code
    call.totalMillis = since(began)
    open.delete(call)
    return call
  }

  return { speak, open: open as ReadonlySet<Call> }
}
