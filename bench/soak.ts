/**
 * Sessions that open, speak, are cut in on, drop, come back or do not, for an hour, or for the minutes that are named: the
 * service, a node that speaks in real time, and the clients are programs of their own.
 *
 * Each minute ends at rest, and then prints what is left: sessions, holds, the node's calls, open files, memory. At the end,
 * the slope of the memory over the minutes behind the first quarter. Fails when anything but memory is left.
 */
import { readdirSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { Fate } from "./fakeNode.ts"
import { gateway, launch, noRateLimits, residentBytes, stop } from "./harness.ts"
import { live } from "./stream/lives.ts"

const minutes = Number(process.argv[2] ?? 60)
const sessionsAtOnce = Number(process.argv[3] ?? 200)
const activeMillis = 45_000
const resumeMillis = 10_000
/** What is left of a minute of sessions has to be gone by then. */
const restMillisMax = 30_000

/** Least squares; of y by x. */
const slope = (points: ReadonlyArray<readonly [number, number]>) => {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean(([x]) => x), mean(([, y]) => y)]
  return points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) /
    points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}

try {
  const node = await launch("fakeNode.ts", "--pace", "100", "--bytes", "3200", "--messages", "15")
  const { key, pid, url, voice } = await gateway({
    SCAISPEAK_NODES: node.greeting,
    SCAISPEAK_LOG_LEVEL: "warning",
    SCAISPEAK_STREAM_RESUME_MS: `${resumeMillis}`,
    ...noRateLimits
  })
  const way = {
    name: "socket",
    url: `${url.replace("http", "ws")}/stream/speak`,
    headers: { authorization: `Bearer ${key}` }
  }
  const voices = { ending: voice, lasting: voice }

  const metricsNow = async () => (await fetch(new URL("/metrics", url))).text()
  /** Sessions that ended by a failure, by its code: a client that had dropped hears only that there is none. */
  const failures = async () => {
    const ends = (await metricsNow()).matchAll(/^scaispeak_stream_ended_total\{[^}]*how="([A-Z_]+)"[^}]*\} (\S+)$/gmu)
    return Array.from(ends, ([, code, count]) => `${count} ${code}`).join(", ")
  }
  const left = async () => {
    const metrics = await metricsNow()
    const gauge = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "mu").exec(metrics)?.[1] ?? 0)
    const fates = Object.values(JSON.parse(await node.ask("fates")) as Record<string, Fate>)
    return {
      sessions: gauge("scaispeak_stream_sessions"),
      holds: gauge("scaispeak_open_holds"),
      calls: fates.filter(({ cancelledAt, endedAt }) => (cancelledAt ?? endedAt) === undefined).length
    }
  }
  const files = () => readdirSync(`/proc/${pid}/fd`).length

  const resident: Array<readonly [number, number]> = []
  /** Open files behind the first minute: by then everything that lasts is open. */
  let lasting = Infinity
  const begin = performance.now()
  while (performance.now() - begin < minutes * 60_000 - activeMillis / 2) {
    const counts = await live(way, voices, sessionsAtOnce, activeMillis).catch(async (cause: unknown) => {
      throw new Error(`sessions that failed: ${await failures() || "none"}`, { cause })
    })
    const until = performance.now() + restMillisMax
    let now = await left()
    const isAtRest = () => now.sessions + now.holds + now.calls === 0 && files() <= lasting
    while (!isAtRest() && performance.now() < until) {
      await sleep(200)
      now = await left()
      if (lasting === Infinity && now.sessions + now.holds + now.calls === 0) break
    }
    const minute = (performance.now() - begin) / 60_000
    const mebibytes = residentBytes(pid) / 2 ** 20
    resident.push([minute, mebibytes])
    console.log(
      `minute ${minute.toFixed(1)}: ${
        Object.entries(counts).map(([kind, count]) => `${count} ${kind}`).join(", ")
      }; left: ` +
        `${now.sessions} sessions, ${now.holds} holds, ${now.calls} calls, ${files()} files; ${
          mebibytes.toFixed(0)
        } MiB`
    )
    if (lasting === Infinity) lasting = files()
    else if (!isAtRest()) process.exitCode = 1
  }
  const steady = resident.slice(Math.floor(resident.length / 4))
  console.log(
    `memory over the last ${steady.length} minutes: ${steady.length < 2 ? "-" : slope(steady).toFixed(2)} MiB a minute`
  )
} finally {
  await stop()
}
