/**
 * Many streams at the pace of speech: what lies between two messages when they arrive, and how long each was on its way.
 *
 * A message of 20 ms is as fine as engines send; at 100 ms, which is more usual, the same speech costs a fifth of the
 * messages.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { cpuMillis, launch, median, quantile } from "../harness.ts"
import { monotonicMillis } from "../monotonicMillis.ts"
import { names, open } from "./ways.ts"
import type { Name, Way } from "./ways.ts"

const streamsAtOnce = 300
const bytesPerMilli = 32
const roundMillis = 10_000
/** Streams begin within this time, and nothing is counted until all have been running for as long again. */
const rampMillis = 1000
const rounds = 3

export const streams = async () => {
  for (const messageMillis of [20, 100]) await pacedBy(messageMillis)
}

interface Round {
  /** ms between two messages of a stream. */
  readonly gaps: ReadonlyArray<number>
  /** ms from the node's write. */
  readonly delays: ReadonlyArray<number>
  /** µs for each message: what stands between, the node, the reader. */
  readonly cpu: { readonly between: number; readonly node: number; readonly reader: number }
}

const pacedBy = async (messageMillis: number) => {
  const bytes = messageMillis * bytesPerMilli
  const messages = String(Math.round(roundMillis / messageMillis))
  const node = await launch("fakeNode.ts", "--pace", `${messageMillis}`, "--bytes", `${bytes}`, "--messages", messages)
  const { close, pids, ways } = await open(node.greeting)
  const between = (name: Name) => name === "direct" ? 0 : cpuMillis(pids[name])
  const measured: Record<Name, Array<Round>> = { direct: [], "bare proxy": [], "/speak": [] }
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < names.length; k++) {
      const name = names[(round + k) % names.length]!
      const cpu = () => [between(name), cpuMillis(node.pid), cpuMillis(process.pid)]
      measured[name].push(await run(ways[name], bytes, cpu))
    }
  }
  close()
  print(`${streamsAtOnce} streams of ${messageMillis} ms`, measured)
}

/** One round of streams; `cpu` reads three counters, ms. */
const run = async (way: Way, bytes: number, cpu: () => ReadonlyArray<number>): Promise<Round> => {
  const gaps: Array<number> = []
  const delays: Array<number> = []
  let arrived = 0
  const countFrom = monotonicMillis() + 2 * rampMillis
  const countUntil = monotonicMillis() + roundMillis - rampMillis / 2
  const one = async (i: number) => {
    await sleep((i / streamsAtOnce) * rampMillis)
    let lastAt = 0
    const arrive = arrivals(bytes, (writtenAt) => {
      const now = monotonicMillis()
      if (writtenAt >= countFrom && writtenAt < countUntil && lastAt > 0) {
        gaps.push(now - lastAt)
        delays.push(now - writtenAt)
      }
      lastAt = now
      arrived++
    })
    await way(`Stream ${i}.`, arrive).ended
  }
  const before = cpu()
  await Promise.all(Array.from({ length: streamsAtOnce }, (_, i) => one(i)))
  const [between, node, reader] = cpu().map((after, i) => (1000 * (after - before[i]!)) / arrived)
  return { gaps, delays, cpu: { between: between!, node: node!, reader: reader! } }
}

/** Finds the node's messages again in pieces of any size; tells when each was written, once it is there whole. */
const arrivals = (bytes: number, onMessage: (writtenAt: number) => void) => {
  const stamp = new DataView(new ArrayBuffer(8))
  let at = 0
  return (pcm: Uint8Array) => {
    for (let i = 0; i < pcm.length;) {
      if (at < 8) {
        stamp.setUint8(at, pcm[i]!)
        at++
        i++
        continue
      }
      const taken = Math.min(bytes - at, pcm.length - i)
      at += taken
      i += taken
      if (at < bytes) continue
      at = 0
      onMessage(stamp.getFloat64(0))
    }
  }
}

const print = (title: string, measured: Record<Name, ReadonlyArray<Round>>) => {
  const over = (name: Name, of: (round: Round) => number) => median(measured[name].map(of))
  const ratio = (of: (round: Round) => number) =>
    median(measured["/speak"].map((round, i) => of(round) / of(measured.direct[i]!))).toFixed(2)
  const line = (what: string, of: (round: Round) => ReadonlyArray<number>) => {
    const row = (name: Name) =>
      [
        over(name, (round) => quantile(of(round), 0.5)),
        over(name, (round) => quantile(of(round), 0.99)),
        over(name, (round) => quantile(of(round), 1))
      ].map((ms) => ms.toFixed(2)).join(" / ")
    console.log(
      `${title}, ${what} p50 / p99 / max ms: /speak ${row("/speak")}; direct ${row("direct")}; ` +
        `bare proxy ${row("bare proxy")}; p99 of /speak to direct ${ratio((round) => quantile(of(round), 0.99))}`
    )
  }
  line("gap", ({ gaps }) => gaps)
  line("from the node's write", ({ delays }) => delays)
  const row = (name: Name) =>
    (["between", "node", "reader"] as const).map((who) => over(name, ({ cpu }) => cpu[who]).toFixed(1)).join(" / ")
  console.log(
    `${title}, CPU of what is between / node / reader, µs a message: /speak ${row("/speak")}; direct ${
      row("direct")
    }; ` +
      `bare proxy ${row("bare proxy")}; /speak to bare proxy ${
        median(measured["/speak"].map(({ cpu }, i) => cpu.between / measured["bare proxy"][i]!.cpu.between)).toFixed(2)
      }`
  )
}
