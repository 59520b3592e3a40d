/** A program that a test kills, pauses and starts again. What runs of it ends with the scope. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { setPriority } from "node:os"
import { createInterface } from "node:readline"
import { cleanEnvironment, root } from "./Server.ts"

export interface Restartable {
  /** Starts it, with these arguments behind its own, and resolves with the first line that it prints. */
  readonly start: (args: ReadonlyArray<string>, env?: Record<string, string>) => Effect.Effect<string>
  /** At once and without a word; resolves when it is gone. */
  readonly kill: Effect.Effect<void>
  /** Takes the processor from it: its connections stay open and nothing answers. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** What it printed after its first lines, over all its lives. */
  readonly lines: ReadonlyArray<string>
}

const niceness = 5

/** `file`: a TypeScript file by its path from the project's root. */
export const make = (file: string, ...own: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    let child: ChildProcess | undefined
    const lines: Array<string> = []

    const kill = Effect.promise(async () => {
      const dying = child
      child = undefined
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return
      const exited = once(dying, "exit")
      dying.kill("SIGKILL")
      await exited
    })
    yield* Effect.addFinalizer(() => kill)

    const start = (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
      Effect.promise(async () => {
        const started = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", file, ...own, ...args], {
          cwd: root,
          env: cleanEnvironment(env),
          // It ends when its standard input closes: with the tests' process, whatever ends that.
          stdio: ["pipe", "pipe", "inherit"]
        })
        child = started
        // Programs that stand for other machines must not take the processor from the tests' own process.
        setPriority(started.pid!, niceness)
        started.stdin.on("error", () => {})
        return await new Promise<string>((resolve, reject) => {
          let first = true
          createInterface({ input: started.stdout }).on("line", (line) => {
            if (first) resolve(line)
            else lines.push(line)
            first = false
          })
          started.once("exit", (code) => reject(new Error(`${file} ended with ${code} before its first line`)))
        })
      })
    const signal = (name: NodeJS.Signals) => Effect.sync(() => void child?.kill(name))

    const it: Restartable = { start, kill, pause: signal("SIGSTOP"), resume: signal("SIGCONT"), lines }
    return it
  })
