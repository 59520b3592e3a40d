/**
 * Live speech: callers of voice agents over WebSockets, text as a language model writes it, audio as an engine makes it in
 * real time. Callers (this program), what is between, and the node are programs of their own, on one machine.
 *
 * Measured for one, 100 and 1000 sessions at once, next to a bare `ws` + grpc-js relay in the same run:
 *
 * 1. From the delta that completes the first sentence to its first audio, less the engine's own time; and whether that came
 *    before the text was complete.
 * 2. The time in which each 100 ms of audio came, and how many came too late for a player that keeps 60 ms.
 * 3. Of a barge-in: its answer, and the end of the last call at the node.
 * 4. CPU of each program, how long it had no core to run on, and the memory that a session takes.
 *
 * Numbers of sessions can be named, and ways: `relay`, `pcm`, `opus`.
 */
import { loadavg } from "node:os"
import { tuneCollector } from "../src/cli/Collector.ts"
import type { Fate } from "./fakeNode.ts"
import {
  cpuMillis,
  gateway,
  launch,
  median,
  noRateLimits,
  quantile,
  residentBytes,
  stop,
  waitMillis
} from "./harness.ts"
import type { Program } from "./harness.ts"
import { converse, messageMillis } from "./stream/conversations.ts"
import type { Measured, Plan } from "./stream/conversations.ts"
import type { Way } from "./stream/Talker.ts"

tuneCollector()
const bytesPerMilli = 32
/** Ways take turns, so that what else the machine does meets each of them. */
const rounds = 1

/** A lone caller is answered more often, in one sentence, to be measured often enough. */
const planOf = (sessions: number): Plan =>
  sessions < 10
    ? { sessions, sentences: 1, everyMillis: 2500, turns: 20 }
    : { sessions, sentences: 3, everyMillis: 18_000, turns: 1 }

interface Round {
  readonly heard: Measured
  /** Of what is between, the node and the callers: cores used, and cores that there were none of. */
  readonly used: ReadonlyArray<number>
  readonly lacked: ReadonlyArray<number>
  /** Bytes of a session. */
  readonly memory: number
  readonly load: number
}

const round = async (way: Way & { readonly pid: number }, node: Program, plan: Plan): Promise<Round> => {
  const pids = [way.pid, node.pid, process.pid]
  const read = () => ({ used: pids.map(cpuMillis), lacked: pids.map(waitMillis) })
  const restBytes = residentBytes(way.pid)
  let fullBytes = 0
  let [before, after] = [read(), read()]
  const heard = await converse(way, plan, {
    fates: async () => JSON.parse(await node.ask("fates")) as Record<string, Fate>,
    onSteady: () => {
      before = read()
    },
    onEnd: () => {
      after = read()
      fullBytes = residentBytes(way.pid)
    }
  })
  const cores = (of: keyof typeof before) =>
    after[of].map((ms, i) => (ms - before[of][i]!) / (plan.turns * plan.everyMillis))
  return {
    heard,
    used: cores("used"),
    lacked: cores("lacked"),
    memory: (fullBytes - restBytes) / plan.sessions,
    load: loadavg()[0]!
  }
}

const print = (name: string, { sessions }: Plan, measured: ReadonlyArray<Round>) => {
  const all = (of: (heard: Measured) => ReadonlyArray<number>) => measured.flatMap(({ heard }) => of(heard))
  const sum = (of: (heard: Measured) => number) => measured.reduce((sum, { heard }) => sum + of(heard), 0)
  const row = (of: (heard: Measured) => ReadonlyArray<number>) =>
    [0.5, 0.99, 1].map((q) => quantile(all(of), q)?.toFixed(2)).join(" / ")
  const percent = (of: (round: Round) => ReadonlyArray<number>) =>
    measured[0]!.used.map((_, i) => `${(100 * median(measured.map((round) => of(round)[i]!))).toFixed(0)} %`)
  const [used, lacked] = [percent((round) => round.used), percent((round) => round.lacked)]
  const perSession = median(measured.map((round) => (1000 * round.used[0]!) / sessions)).toFixed(2)
  const memory = Math.max(...measured.map((round) => round.memory / 1024)).toFixed(0)
  console.log(
    [
      `${sessions} sessions, ${name}; p50 / p99 / max, ms:`,
      `first audio, added: ${row((heard) => heard.added)}; before its text was complete: ` +
      `${sum((heard) => heard.early)} of ${sum((heard) => heard.added.length)}`,
      `${messageMillis} ms of audio came in: ${row((heard) => heard.gaps)}; ` +
      `too late to be played: ${sum((heard) => heard.underruns)} of ${sum((heard) => heard.messages)} frames`,
      `interrupt, answered: ${row((heard) => heard.replies)}; at the node: ${row((heard) => heard.stops)}; ` +
      `calls that went on: ${sum((heard) => heard.leaked)}`,
      `opened in: ${row((heard) => heard.opened)}; memory ${memory} KiB a session`,
      `CPU of ${name} / node / callers: ${used.join(" / ")} of a core; ${perSession} ms/s a session of ${name}; ` +
      `waited for a core: ${lacked.join(" / ")}; load ${measured.map(({ load }) => load.toFixed(1)).join(", ")}`
    ].join("\n  ")
  )
}

const asked = process.argv.slice(2)
const counts = asked.flatMap((word) => /^\d+$/u.test(word) ? [Number(word)] : [])
const named = asked.filter((word) => !/^\d+$/u.test(word))

try {
  const node = await launch(
    "fakeNode.ts",
    "--pace",
    `${messageMillis}`,
    "--bytes",
    `${messageMillis * bytesPerMilli}`,
    "--messages",
    "15"
  )
  const relay = await launch("stream/relay.ts", node.greeting)
  const { key, pid, url, voice } = await gateway({
    SCAISPEAK_NODES: node.greeting,
    SCAISPEAK_LOG_LEVEL: "warning",
    ...noRateLimits
  })
  const live = {
    url: `${url.replace("http", "ws")}/stream/speak`,
    headers: { authorization: `Bearer ${key}` },
    voice,
    pid
  }
  const ways = [
    { name: "relay", url: relay.greeting, headers: {}, voice: "one", codec: "pcm" as const, pid: relay.pid },
    { name: "pcm", ...live, codec: "pcm" as const },
    { name: "opus", ...live, codec: "opus" as const }
  ].filter(({ name }) => named.length === 0 || named.includes(name))

  for (const sessions of counts.length > 0 ? counts : [1, 100, 1000]) {
    const plan = planOf(sessions)
    const measured = ways.map(() => Array.of<Round>())
    for (let i = 0; i < rounds; i++) {
      for (let k = 0; k < ways.length; k++) {
        const way = (i + k) % ways.length
        measured[way]!.push(await round(ways[way]!, node, plan))
      }
    }
    ways.forEach(({ name }, i) => print(name, plan, measured[i]!))
  }
} finally {
  await stop()
}
