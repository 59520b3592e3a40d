/** Programs that tests run beside themselves. A program ends when its scope closes or when the tests' process is gone. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcessByStdio } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"

export interface Program {
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  /** The first line that it printed. */
  readonly firstLine: string
}

/** Starts a TypeScript file of this folder, or any file by its path from the project's root, and waits for its first line. */
export const start = (file: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Program> => {
      const path = file.includes("/") ? file : join(import.meta.dirname, file)
      const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", path, ...args], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      child.stdin.on("error", () => {})
      const [line] = await Promise.race([
        once(createInterface({ input: child.stdout }), "line"),
        once(child, "exit").then(() => Promise.reject(new Error(`${file} ended before its first line`)))
      ])
      return { child, firstLine: line as string }
    }),
    ({ child }) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const exited = once(child, "exit")
        child.kill("SIGKILL")
        await exited
      })
  )
