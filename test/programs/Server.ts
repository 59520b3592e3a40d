/** The service as its users run it: a process of its own, known by what it prints. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess, SpawnOptions } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"

/** The project's root. */
export const root = join(import.meta.dirname, "../..")

export interface Started {
  readonly child: ChildProcess
  /** All that it has printed so far, on both outputs. */
  readonly output: () => string
  /** The printed `curl`, whole. */
  readonly curl: string
  readonly url: string
  readonly key: string
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | string | null>
}

/** Settings of the surroundings must not leak into a program that is to be as on a fresh machine. */
export const cleanEnvironment = (env: Record<string, string>): Record<string, string> => {
  const kept = Object.entries(process.env).filter(([name, value]) =>
    value !== undefined && !/^(SCAISPEAK|npm_|VITEST|NODE_ENV|INIT_CWD)/u.test(name)
  ) as Array<[string, string]>
  const path = (process.env.PATH ?? "").split(":").filter((folder) => !folder.includes("node_modules")).join(":")
  return { ...Object.fromEntries(kept), PATH: path, ...env }
}

/** Starts a command in a process group of its own and waits for its greeting. The group is killed with the scope. */
export const start = (
  [program, ...args]: readonly [string, ...Array<string>],
  options: Pick<SpawnOptions, "cwd"> & { readonly env: Record<string, string> }
) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Started> => {
      const child = spawn(program, args, {
        cwd: options.cwd ?? root,
        env: cleanEnvironment(options.env),
        stdio: ["ignore", "pipe", "pipe"],
        detached: true
      })
      let output = ""
      const exited = once(child, "close").then(([code, signal]) => (code as number | null) ?? (signal as string))
      const curl = await new Promise<string>((resolve, reject) => {
        const read = (text: Buffer) => {
          output += text.toString()
          const found = /^curl .*$/mu.exec(output)
          if (found) resolve(found[0])
        }
        child.stdout.on("data", read)
        child.stderr.on("data", read)
        void exited.then((code) => reject(new Error(`ended with ${code} before it greeted:\n${output}`)))
      })
      const [, url, key] = /(http\S+)\/speak -H "Authorization: Bearer (\S+)"/u.exec(curl)!
      return { child, output: () => output, curl, url: url!, key: key!, exited }
    }),
    ({ child, exited }) =>
      Effect.promise(async () => {
        if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, "SIGKILL")
        await exited
      })
  )

/** As in `npm start`. */
export const startFlags = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=8"]

/** `scaispeak serve` of this checkout, without npm around it. */
export const serve = (env: Record<string, string>) =>
  start([process.execPath, ...startFlags, join(root, "src/main.ts"), "serve"], { env })
