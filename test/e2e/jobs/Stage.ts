/**
 * A server, two workers, two nodes, a MariaDB and a Redis, each a program of its own that is killed outright at random moments
 * while jobs come in; and what must be true when it is quiet again: every job that was taken has ended well, once, with
 * the very audio of an undisturbed run, and nothing is left that its end does not name.
 */
import { createPool } from "mysql2/promise"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { mount } from "../../../src/http/Document.ts"
import { cleanEnvironment, root } from "../../programs/Server.ts"
import { startDurableMariadb } from "../../servers/Mariadb.ts"
import { startRedis } from "../../servers/Redis.ts"

const leaseMillis = 3000
const key = `sgk_${"k".repeat(40)}`
const voices = ["vox_flite_kal16", "vox_flite_kal16", "vox_flite_slt"]
const formats = ["wav", "mp3", "flac"]
const sentences = [
  "The birch canoe slid on the smooth planks before the sun was up. ",
  "Glue the sheet to the dark blue background, and leave it there. ",
  "It is easy to tell the depth of a well by the sound of a stone. ",
  "These days a chicken leg is a rare dish in our town. ",
  "The juice of lemons makes fine punch, if there is enough of it.\n\n",
  "Four hours of steady work faced us all. "
]

/** The `kind`-th text; each of eight is `length` sentences longer than the one before. */
const textOf = (kind: number, length: number): string =>
  Array.from({ length: 6 + length * (kind % 8) }, (_, i) => sentences[(i * 5 + kind) % sentences.length]).join("")

const bodyOf = (kind: number, length: number) => ({
  text: textOf(kind, length),
  voice_id: voices[kind % voices.length],
  response_format: formats[kind % formats.length],
  force_async: true
})

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** A program of ours that can be killed and started again. */
const program = (args: ReadonlyArray<string>, env: Record<string, string>, greeting: RegExp) => {
  let child: ChildProcess | undefined
  const start = async () => {
    const started = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "src/main.ts", ...args], {
      cwd: root,
      env: cleanEnvironment(env),
      stdio: ["ignore", "pipe", "inherit"]
    })
    child = started
    const lines = createInterface({ input: started.stdout! })
    const ended = once(started, "exit").then(([code, signal]) => `ended with ${code ?? signal}`)
    const greeted = (async () => {
      for await (const line of lines) if (greeting.test(line)) return
      // One that says nothing more is dying; its output ends before it does.
      await ended
    })()
    await Promise.race([greeted, ended])
    started.stdout!.resume()
    return started.exitCode === null && started.signalCode === null
  }
  // Whatever ends the run ends what it started.
  process.once("exit", () => child?.kill("SIGKILL"))
  const kill = async () => {
    const dying = child
    child = undefined
    if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return
    const exited = once(dying, "exit")
    dying.kill("SIGKILL")
    await exited
  }
  /** Until it stays: what it stands on may be away just now. */
  const insist = async () => {
    while (!(await start())) await sleep(300)
  }
  return { start: insist, kill, pid: () => child?.pid }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

export interface Verdict {
  readonly accepted: number
  readonly rows: number
  readonly statuses: Record<string, number>
  readonly kills: Record<string, number>
  readonly doubleUsage: number
  readonly missingUsage: number
  readonly otherAudio: number
  readonly orphans: ReadonlyArray<string>
  readonly queueLeft: number
  readonly attemptsMax: number
  readonly seconds: number
}

export interface Options {
  readonly jobs: number
  /** Different texts. */
  readonly kinds: number
  /** How much longer, in sentences, each of eight texts is than the one before. */
  readonly length: number
  readonly seed: number
  /** Between two kills, on average, ms. A job whose runs die ten times without getting further is taken for their poison. */
  readonly pauseMillis?: number
  /** Times that each is killed, unless nearly all jobs have ended before. */
  readonly rounds?: number
  /** Longest wait for the last job once the killing has ended, ms. */
  readonly patienceMillis: number
  readonly log?: (line: string) => void
}

export const run = async (
  { jobs, kinds, length, log = () => {}, patienceMillis, pauseMillis = 600, rounds = Infinity, seed }: Options
): Promise<Verdict> => {
  const random = randomOf(seed)
  const dataDir = await mkdtemp(join(tmpdir(), "scaispeak-kills-"))
  const [mariadb, redis] = await Promise.all([startDurableMariadb(), startRedis()])
  const [port, nodeOne, nodeTwo] = [await freePort(), await freePort(), await freePort()]
  const env = {
    SCAISPEAK_DATA_DIR: dataDir,
    SCAISPEAK_DATABASE_URL: mariadb.url,
    SCAISPEAK_REDIS_URL: redis.url,
    SCAISPEAK_BOOTSTRAP_KEY: key,
    SCAISPEAK_NODES: `127.0.0.1:${nodeOne},127.0.0.1:${nodeTwo}`,
    SCAISPEAK_PORT: String(port),
    SCAISPEAK_GRPC_PORT: "0",
    SCAISPEAK_JOBS_LEASE_MS: String(leaseMillis),
    SCAISPEAK_ENCODER_WORKERS: "1",
    SCAISPEAK_RATE_LIMIT_KEY: "0",
    SCAISPEAK_RATE_LIMIT_USER: "0",
    SCAISPEAK_RATE_LIMIT_TENANT: "0",
    SCAISPEAK_RATE_LIMIT_PARTNER: "0",
    SCAISPEAK_LOG_LEVEL: "none"
  }
  const workerEnv = { ...env, SCAISPEAK_JOBS_CONCURRENCY: "4" }
  const nodeEnv = { SCAISPEAK_LOG_LEVEL: "none" }
  const ours = {
    server: program(["serve"], { ...env, SCAISPEAK_JOBS_CONCURRENCY: "0" }, /listens at/u),
    "worker 1": program(["worker"], workerEnv, /"worker"/u),
    "worker 2": program(["worker"], workerEnv, /"worker"/u),
    "node 1": program(["node", "--listen", `127.0.0.1:${nodeOne}`], nodeEnv, /"address"/u),
    "node 2": program(["node", "--listen", `127.0.0.1:${nodeTwo}`], nodeEnv, /"address"/u)
  }
  const victims = { ...ours, MariaDB: mariadb, Redis: redis }
  const names = Object.keys(victims) as Array<keyof typeof victims>
  const kills = Object.fromEntries(names.map((name) => [name, 0])) as Record<keyof typeof victims, number>
  const pool = createPool({ uri: mariadb.url, connectionLimit: 2 })
  const url = `http://127.0.0.1:${port}${mount}`
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
  const call = async (path: string, init: RequestInit = {}) => {
    const reply = await fetch(url + path, { ...init, headers })
    return { status: reply.status, bytes: Buffer.from(await reply.arrayBuffer()) }
  }
  const take = async (kind: number): Promise<string | undefined> => {
    const { bytes, status } = await call("/speak", { method: "POST", body: JSON.stringify(bodyOf(kind, length)) })
      .catch(() => ({
        status: 0,
        bytes: Buffer.alloc(0)
      }))
    return status === 202 ? JSON.parse(bytes.toString()).data.job_id : undefined
  }
  const audioOf = async (jobId: string) => {
    const { bytes, status } = await call(`/speak/jobs/${jobId}/audio`)
    return status === 200 ? createHash("sha256").update(bytes).digest("hex") : `status ${status}`
  }
  const query = async (sql: string): Promise<Array<any>> => (await pool.query(sql))[0] as Array<any>
  const open = async () =>
    (await query("SELECT COUNT(*) AS open FROM synth_jobs WHERE status IN ('queued', 'running')"))[0].open as number
  const quiet = async (millis: number) => {
    for (const deadline = Date.now() + millis; Date.now() < deadline; await sleep(200)) {
      if (await open() === 0 && (await query("SELECT COUNT(*) AS waiting FROM job_queue"))[0].waiting === 0) return
    }
  }

  try {
    await Promise.all(Object.values(ours).map(({ start }) => start()))
    while ((await call("/voices?limit=1")).bytes.toString().includes(`"items":[]`)) await sleep(100)
    const began = Date.now()

    // What each text sounds like when nobody disturbs.
    const calm = await Promise.all(Array.from({ length: kinds }, (_, kind) => take(kind)))
    await quiet(patienceMillis)
    const expected = await Promise.all(calm.map((jobId) => audioOf(jobId!)))
    log(`calm: ${kinds} jobs in ${Date.now() - began} ms`)

    const accepted = new Map<string, number>()
    let sent = 0
    const sending = (async () => {
      // Some come in after each has been killed.
      for (; accepted.size < jobs || names.some((name) => kills[name] === 0); sent++) {
        const jobId = await take(sent % kinds)
        if (jobId !== undefined) accepted.set(jobId, sent % kinds)
        await sleep(jobId === undefined ? 200 : 20 + 60 * random())
      }
    })()
    let sendingEnded = false
    void sending.then(() => (sendingEnded = true))
    /** Those that are being started again, beside others that are killed meanwhile. */
    const starting = new Map<string, Promise<void>>()
    const round = () => Math.min(...names.map((name) => kills[name]))
    const killing = async () => {
      while (round() < rounds && (!sendingEnded || await open().catch(() => jobs) > Math.ceil(jobs / 10))) {
        await sleep((1 / 3 + (4 / 3) * random()) * pauseMillis)
        // Each is killed as often as the others: what starts quickly waits for what starts slowly, or nothing would ever be up.
        const candidates = names.filter((name) => kills[name] === round() && !starting.has(name))
        if (candidates.length === 0) continue
        const name = candidates[Math.floor(random() * candidates.length)]!
        log(
          `${((Date.now() - began) / 1000).toFixed(1)} s: ${name} is killed; ${await open().catch(() => "?")} jobs open`
        )
        await victims[name].kill()
        kills[name]++
        const later = 1000 * random()
        starting.set(
          name,
          sleep(later).then(() => victims[name].start()).then(() => void starting.delete(name))
        )
      }
      await Promise.all(starting.values())
    }
    await Promise.all([sending, killing()])
    await quiet(patienceMillis)

    const rows = await query("SELECT job_id, status, synthesis_id, attempts, status_reason FROM synth_jobs")
    const usage = await query("SELECT synthesis_id, COUNT(*) AS count FROM usage_records GROUP BY synthesis_id")
    const counts = new Map(usage.map((row) => [row.synthesis_id as string, Number(row.count)]))
    const statuses: Record<string, number> = {}
    for (const { status, status_reason } of rows) {
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status === "failed") log(`failed: ${status_reason}`)
    }
    const missing = [...accepted.keys()].filter((id) => !rows.some(({ job_id }) => job_id === id))
    if (missing.length > 0) statuses["lost"] = missing.length
    let otherAudio = 0
    for (const [jobId, kind] of accepted) {
      const heard = await audioOf(jobId)
      if (heard !== expected[kind]) {
        otherAudio++
        log(`${jobId} (${formats[kind % formats.length]}): ${heard}, expected ${expected[kind]}`)
      }
    }
    const folder = join(dataDir, "objects/scaispeak/jobs")
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    const known = new Set(rows.map(({ job_id }) => job_id))
    const orphans = files.map(({ name, parentPath }) => join(parentPath.slice(folder.length + 1), name)).filter((
      path
    ) => !/^job_\w+\/(audio\.\w+|timings\.json)$/u.test(path) || !known.has(path.split("/")[0]))
    const waiting = await query("SELECT COUNT(*) AS waiting FROM job_queue")
    return {
      accepted: accepted.size,
      rows: rows.length,
      statuses,
      kills,
      doubleUsage: usage.filter(({ count }) => Number(count) > 1).length,
      missingUsage: rows.filter(({ synthesis_id }) => !counts.has(synthesis_id)).length,
      otherAudio,
      orphans,
      queueLeft: Number(waiting[0].waiting),
      attemptsMax: Math.max(...rows.map(({ attempts }) => attempts)),
      seconds: (Date.now() - began) / 1000
    }
  } finally {
    await Promise.all(Object.values(ours).map(({ kill }) => kill()))
    await pool.end().catch(() => undefined)
    await Promise.all([mariadb.stop(), redis.stop()])
    await rm(dataDir, { recursive: true, force: true })
  }
}
