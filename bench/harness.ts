/** What the benchmarks share: programs that end with the benchmark, load over kept-alive connections, and order statistics. */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

const children: Array<ChildProcess> = []

/** Of `npm start`: so the service runs, and the programs of this folder. A command of the service says what it needs itself. */
const nodeFlags = /exec node (.*) src\/main\.ts/u
  .exec(JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8")).scripts.start)![1]!
  .split(" ")

export interface Program {
  /** The first line that it prints. */
  readonly greeting: string
  readonly pid: number
  /** Sends it a line; resolves with the next line that it prints. */
  readonly ask: (line: string) => Promise<string>
}

/** Starts a program of this folder. */
export const launch = (file: string, ...args: ReadonlyArray<string>): Promise<Program> => launchOn({}, file, ...args)

/** The same with settings of its own, and on one core only where one is named. */
export const launchOn = async (
  { core, env = {} }: { readonly env?: Record<string, string>; readonly core?: number },
  file: string,
  ...args: ReadonlyArray<string>
): Promise<Program> => {
  const pinned = core === undefined ? [] : ["taskset", "-c", String(core)]
  const [program, ...words] = [
    ...pinned,
    process.execPath,
    ...(file.endsWith("/main.ts") ? nodeFlags.slice(0, 1) : nodeFlags),
    join(import.meta.dirname, file),
    ...args
  ]
  const child = spawn(program!, words, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] })
  children.push(child)
  const lines = createInterface({ input: child.stdout! })
  const next = async () => (await once(lines, "line"))[0] as string
  return {
    greeting: await next(),
    pid: child.pid!,
    ask: (line) => {
      child.stdin!.write(`${line}\n`)
      return next()
    }
  }
}

/** As {@link launch}, where the greeting is all that matters. */
export const start = async (file: string, ...args: ReadonlyArray<string>): Promise<string> =>
  (await launch(file, ...args)).greeting

export interface Gateway {
  readonly url: string
  readonly key: string
  readonly voice: string
  /** The first node that it speaks with. */
  readonly node: string
  readonly pid: number
}

/** Settings of a service whose callers are a benchmark. */
export const noRateLimits = Object.fromEntries(
  ["KEY", "USER", "TENANT", "PARTNER"].map((whose) => [`SCAISPEAK_RATE_LIMIT_${whose}`, "0"])
)

/** Starts the service with settings of its own and resolves once it greets with a voice. */
export const gateway = async (env: Record<string, string>): Promise<Gateway> => {
  const dataDir = await mkdtemp(join(tmpdir(), "scaispeak-bench-"))
  const child = spawn(
    process.execPath,
    [...nodeFlags, join(import.meta.dirname, "../src/main.ts"), "serve"],
    {
      env: {
        ...process.env,
        NODE_ENV: "production",
        SCAISPEAK_PORT: "0",
        SCAISPEAK_GRPC_PORT: "0",
        SCAISPEAK_DATA_DIR: dataDir,
        ...env
      },
      stdio: ["ignore", "pipe", "inherit"]
    }
  )
  children.push(child)
  child.once("exit", () => rm(dataDir, { recursive: true, force: true }))
  let node = ""
  for await (const line of createInterface({ input: child.stdout! })) {
    node ||= /Engine nodes\s+(\S+)/u.exec(line)?.[1] ?? ""
    const found = /curl .* (http\S+)\/speak -H "Authorization: Bearer (\S+)".*"voice_id":"(\w+)"/u.exec(line)
    if (found) return { url: found[1]!, key: found[2]!, voice: found[3]!, node, pid: child.pid! }
  }
  throw new Error("the gateway ended before it greeted")
}

/** Ends what was started. */
export const stop = async () => {
  await Promise.all(children.map(async (child) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.stdin?.end()
    child.kill("SIGTERM")
    await exited
  }))
}

export interface Reply {
  readonly firstByteMillis: number
  readonly totalMillis: number
  readonly bytes: number
}

/** One POST; fails on any status but 200. */
export const post = (agent: Agent, url: string, body: string, headers: Record<string, string> = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    const sent = request(url, {
      method: "POST",
      agent,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers }
    }, (response) => {
      let firstByteMillis = 0
      let bytes = 0
      response.on("data", (chunk: Buffer) => {
        if (bytes === 0) firstByteMillis = performance.now() - began
        bytes += chunk.length
      })
      response.once("error", reject)
      response.once("end", () =>
        response.statusCode === 200
          ? resolve({ firstByteMillis, totalMillis: performance.now() - began, bytes })
          : reject(new Error(`${url} answered ${response.statusCode}`)))
    })
    sent.once("error", reject)
    sent.end(body)
  })

/** Runs `call` from `connections` loops at once for `millis`; resolves with the count of calls done. */
export const load = async (connections: number, millis: number, call: (agent: Agent) => Promise<unknown>) => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const until = performance.now() + millis
  let done = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < until) {
      await call(agent)
      done++
    }
  }))
  agent.destroy()
  return done
}

/** CPU time that a process has used, ms. Linux. */
export const cpuMillis = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /su, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) * tickMillis
}
/** Time that the main thread of a process could have run and had no core, ms: of what else the machine does. Linux. */
export const waitMillis = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6
/** Memory that a process has, bytes. Linux. */
export const residentBytes = (pid: number): number =>
  1024 * Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])
/** USER_HZ is 100 wherever Node runs. */
const tickMillis = 10

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)
