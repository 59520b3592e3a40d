/** How soon the engine knows that a client has gone in mid-speech, by the one clock of the machine. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Fate } from "../fakeNode.ts"
import { launch, quantile } from "../harness.ts"
import { monotonicMillis } from "../monotonicMillis.ts"
import { names, open } from "./ways.ts"
import type { Name, Way } from "./ways.ts"

const calls = 300
const atOnceEach = [1, 32, 128]
/** A cancel that takes longer never came. */
const limitMillis = 5000

export const cancel = async () => {
  const node = await launch("fakeNode.ts", "--pace", "20", "--bytes", "640", "--messages", "1000000")
  const { close, ways } = await open(node.greeting)
  for (const name of names) await measure(node.ask, ways[name], 32, calls)
  for (const atOnce of atOnceEach) {
    const measured: Record<Name, Array<number>> = { direct: [], "bare proxy": [], "/speak": [] }
    const parts = 3
    for (let part = 0; part < parts; part++) {
      for (let k = 0; k < names.length; k++) {
        const name = names[(part + k) % names.length]!
        measured[name].push(
          ...await measure(node.ask, ways[name], atOnce, atOnce * Math.ceil(calls / parts / atOnce))
        )
      }
    }
    const row = (name: Name) =>
      `${name} ${[0.5, 0.99, 1].map((q) => quantile(measured[name], q).toFixed(2)).join(" / ")}`
    const ratio = quantile(measured["/speak"], 0.99) / quantile(measured.direct, 0.99)
    console.log(
      `cancel, ${atOnce} at once, until the node knows, p50 / p99 / max ms: ${row("/speak")}; ${row("direct")}; ` +
        `${row("bare proxy")}; p99 of /speak to direct ${ratio.toFixed(2)} (${measured.direct.length} calls each)`
    )
  }
  close()
}

/** ms from each client's going until the node knew. */
const measure = async (
  ask: (line: string) => Promise<string>,
  way: Way,
  atOnce: number,
  count: number
): Promise<ReadonlyArray<number>> => {
  const goneAt = new Map<string, number>()
  await Promise.all(Array.from({ length: atOnce }, async (_, loop) => {
    for (let i = 0; i < count / atOnce; i++) {
      const text = `Call ${i} of ${loop}.`
      const speaking = Promise.withResolvers<void>()
      const call = way(text, () => speaking.resolve())
      await Promise.race([speaking.promise, call.ended])
      // Clients go at any moment between two messages.
      await sleep(20 + Math.random() * 40)
      goneAt.set(text, monotonicMillis())
      call.abandon()
      await call.ended
    }
  }))
  const knownAt = new Map<string, number>()
  const until = monotonicMillis() + limitMillis
  while (knownAt.size < goneAt.size) {
    if (monotonicMillis() > until) throw new Error(`${goneAt.size - knownAt.size} cancels did not reach the node`)
    for (const [text, { cancelledAt }] of Object.entries(JSON.parse(await ask("fates")) as Record<string, Fate>)) {
      if (cancelledAt !== undefined) knownAt.set(text, cancelledAt)
    }
    await sleep(5)
  }
  return [...goneAt].map(([text, at]) => knownAt.get(text)! - at)
}
