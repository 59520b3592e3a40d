/**
 * How long a newcomer waits: a clone of this checkout, `npm start`, and the printed `curl`, until the file is there; then
 * the same again on what is installed; and the memory of server and node at rest. The package cache is as it is.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

/** As in a shell that has never seen the project. */
const environment = () => {
  const clean = Object.entries(process.env).filter(([name]) => !/^(SCAISPEAK|npm_|NODE_ENV|INIT_CWD)/u.test(name))
  const path = (process.env.PATH ?? "").split(":").filter((folder) => !folder.includes("node_modules")).join(":")
  return { ...Object.fromEntries(clean), PATH: path, SCAISPEAK_PORT: "0", SCAISPEAK_GRPC_PORT: "0" }
}

const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1)

/** The process and all below it, in MiB of resident memory. */
const memory = async (pid: number): Promise<ReadonlyArray<string>> => {
  const processes = await Promise.all(
    (await readdir("/proc")).filter((name) => /^\d+$/u.test(name)).map(async (name) => {
      try {
        const status = await readFile(`/proc/${name}/status`, "utf8")
        const command = (await readFile(`/proc/${name}/cmdline`, "utf8")).split("\0")
        const field = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "mu").exec(status)?.[1] ?? 0)
        return { pid: Number(name), parent: field("PPid"), mib: Math.round(field("VmRSS") / 1024), command }
      } catch {
        return undefined
      }
    })
  )
  const below = (parent: number): Array<string> =>
    processes.flatMap((process) =>
      process?.parent !== parent ? [] : [
        ...(process.command.some((part) => part.endsWith("main.ts"))
          ? [`${process.command.includes("--embedded") ? "node" : "server"} ${process.mib} MiB`]
          : []),
        ...below(process.pid)
      ]
    )
  return below(pid)
}

const run = async (name: string, folder: string, prepare: () => void) => {
  const began = performance.now()
  prepare()
  const child = spawn("npm", ["start"], {
    cwd: folder,
    env: environment(),
    stdio: ["ignore", "pipe", "ignore"],
    detached: true
  })
  let output = ""
  const curl = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString()
      const found = /^curl .*$/mu.exec(output)
      if (found) resolve(found[0])
    })
    child.once("exit", (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)))
  })
  const greeted = seconds(began)
  const { status } = spawnSync("sh", ["-c", curl], { cwd: folder, env: environment() })
  const { size } = await stat(join(folder, "hello.mp3"))
  console.log(
    `${name}: greeting after ${greeted} s, first sound after ${seconds(began)} s (curl ${status}, ${size} bytes)`
  )
  await new Promise((resume) => setTimeout(resume, 3000))
  console.log(`${name}: memory at rest, ${(await memory(child.pid!)).join(", ")}`)
  const exited = once(child, "exit")
  process.kill(-child.pid!, "SIGINT")
  const [code] = await exited
  console.log(`${name}: ended with ${code}`)
}

const parent = await mkdtemp(join(tmpdir(), "scaispeak-start-"))
const folder = join(parent, "scaispeak")
try {
  await run("cold clone", folder, () => spawnSync("git", ["clone", "--quiet", root, folder]))
  await run("second start", folder, () => {})
} finally {
  await rm(parent, { recursive: true, force: true })
}
