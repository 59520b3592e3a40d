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
 * 4. CPU of each program, and the memory that a session takes.
 *
 * Numbers of sessions can be named, and ways: `relay`, `pcm`, `opus`.
 */
import { readFileSync } from "node:fs"
import { loadavg } from "node:os"
import type { Fate } from "./fakeNode.ts"
import { cpuMillis, gateway, launch, quantile, stop } from "./harness.ts"
import { converse, messageMillis } from "./stream/conversations.ts"
import type { Measured, Plan } from "./stream/conversations.ts"
import type { Way } from "./stream/Talker.ts"

const bytesPerMilli = 32

/** A lone caller is answered more often, in one sentence, to be measured often enough. */
const planOf = (sessions: number): Plan =>
  sessions < 10
    ? { sessions, sentences: 1, everyMillis: 2500, turns: 24 }
    : { sessions, sentences: 3, everyMillis: 18_000, turns: 2 }

const residentBytes = (pid: number) => 1024 * Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])

const row = (values: ReadonlyArray<number>) =>
  [0.5, 0.99, 1].map((q) => values.length === 0 ? "-" : quantile(values, q).toFixed(2)).join(" / ")

const print = (name: string, { sessions }: Plan, of: Measured, share: ReadonlyArray<number>, bytes: number) => {
  const [between, node, callers] = share.map((cores) => `${(100 * cores).toFixed(0)} %`)
  const late = `${of.underruns} of ${of.messages} frames too late`
  console.log(
    [
      `${sessions} sessions, ${name} (load ${loadavg()[0]!.toFixed(1)}), p50 / p99 / max ms:`,
      `first audio, added: ${row(of.added)}; before the text's end: ${of.early} of ${of.added.length}`,
      `${messageMillis} ms of audio came in: ${row(of.gaps)}; ${late}`,
      `interrupt, answered: ${row(of.replies)}; engine ended: ${row(of.stops)} (${of.stops.length}, ${of.leaked} not ended)`,
      `opened: ${row(of.opened)}`,
      `CPU, ${name}: ${between} of a core, ${((10 * 100 * share[0]!) / sessions).toFixed(2)} ms/s a session; ` +
      `node ${node}; callers ${callers}; memory ${(bytes / 1024).toFixed(0)} KiB a session`
    ].join("\n  ")
  )
}

const asked = process.argv.slice(2)
const counts = asked.flatMap((word) => /^\d+$/u.test(word) ? [Number(word)] : [])
const named = asked.filter((word) => !/^\d+$/u.test(word))

try {
  const node = await launch(
    "fakeNode.ts",
    ...["--pace", `${messageMillis}`, "--bytes", `${messageMillis * bytesPerMilli}`, "--messages", "15"]
  )
  const relay = await launch("stream/relay.ts", node.greeting)
  const { key, pid, url, voice } = await gateway({
    SCAISPEAK_NODES: node.greeting,
    SCAISPEAK_LOG_LEVEL: "warning",
    SCAISPEAK_RATE_LIMIT_KEY: "0",
    SCAISPEAK_RATE_LIMIT_USER: "0",
    SCAISPEAK_RATE_LIMIT_TENANT: "0",
    SCAISPEAK_RATE_LIMIT_PARTNER: "0"
  })
  const live = {
    url: `${url.replace("http", "ws")}/stream/speak`,
    headers: { authorization: `Bearer ${key}` },
    voice,
    pid
  }
  const ways: ReadonlyArray<Way & { readonly pid: number }> = [
    { name: "relay", url: relay.greeting, headers: {}, voice: "one", codec: "pcm", pid: relay.pid },
    { name: "pcm", ...live, codec: "pcm" },
    { name: "opus", ...live, codec: "opus" }
  ]
  const fates = async () => JSON.parse(await node.ask("fates")) as Record<string, Fate>

  for (const sessions of counts.length > 0 ? counts : [1, 100, 1000]) {
    for (const way of ways.filter(({ name }) => named.length === 0 || named.includes(name))) {
      const plan = planOf(sessions)
      const pids = { between: way.pid, node: node.pid, callers: process.pid }
      const read = () => Object.values(pids).map(cpuMillis)
      const restBytes = residentBytes(way.pid)
      let fullBytes = 0
      let [before, after] = [read(), read()]
      const measured = await converse(way, plan, fates, () => {
        before = read()
      }, () => {
        after = read()
        fullBytes = residentBytes(way.pid)
      })
      const share = after.map((ms, i) => (ms - before[i]!) / (plan.turns * plan.everyMillis))
      print(way.name, plan, measured, share, (fullBytes - restBytes) / sessions)
    }
  }
} finally {
  await stop()
}
