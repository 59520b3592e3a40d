/**
 * A server program that cannot outlive whoever started it.
 *
 * Between us and the program stands a `sh` in its own session, whose standard input is a pipe that we hold. When the pipe
 * closes, because `stop` was called, because Ctrl-C ended the test run or because it was killed outright, the shell kills
 * the program and removes its folder. No exit handler of ours has to run for that.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile } from "node:fs/promises"
import { createConnection, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"

export interface Guarded {
  readonly port: number
  /** Ends the program and removes its folder. */
  readonly stop: () => Promise<void>
  /** Ends the program as a crash would (SIGKILL); its data and its port stay for `start`. */
  readonly kill: () => Promise<void>
  /** Starts the program again after `kill`, and waits until it answers. */
  readonly start: () => Promise<void>
  /** Freezes the program (SIGSTOP): connections stay open, nothing answers. */
  readonly pause: () => void
  readonly resume: () => void
}

interface Program {
  readonly name: string
  /** Fills the folder before the first start. */
  readonly prepare?: (folder: string) => Promise<void>
  readonly command: (folder: string, port: number) => ReadonlyArray<string>
  /** What a client has to say before the program says something; nothing for programs that speak first. */
  readonly greeting?: string
}

const readyWithinMillis = 20_000
const askEveryMillis = 5
/** Below the range that the kernel hands to outgoing connections, so that a port stays free between `kill` and `start`. */
const firstPort = 20_000
const lastPort = 32_000

/** $1 is the folder, the rest the command. A line on standard input starts it; the end of input ends everything. */
const guard = `
exec 3>&1
folder=$1; shift
while read -r _; do
  {
    sh -c 'echo $$ >"$0/pid"; echo "started $$" >&3; exec 3>&-; exec "$@"' "$folder" "$@" >>"$folder/log" 2>&1 </dev/null
    rm -f "$folder/pid"; echo "ended" >&3
  } &
done
[ -f "$folder/pid" ] && kill -KILL "$(cat "$folder/pid")"
wait
rm -rf "$folder"
`

export const startGuarded = async (program: Program): Promise<Guarded> => {
  const folder = await mkdtemp(join(tmpdir(), `scaispeak-${program.name}-`))
  await program.prepare?.(folder)
  const port = await freePort()
  const shell = spawn("sh", ["-c", guard, "guard", folder, ...program.command(folder, port)], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true
  })
  const closed = new Promise<void>((resolve) => shell.once("exit", () => resolve()))
  let pid: number | undefined
  createInterface({ input: shell.stdout }).on("line", (line) => {
    pid = line.startsWith("started ") ? Number(line.slice("started ".length)) : undefined
  })
  // A test that forgets `stop` still ends; the closed pipe does the rest.
  shell.unref()
  ;(shell.stdin as Socket).unref()
  ;(shell.stdout as Socket).unref()

  const signal = (name: NodeJS.Signals) => {
    if (pid === undefined) throw new Error(`${program.name} is not running`)
    process.kill(pid, name)
  }
  const stop = async () => {
    shell.stdin.end()
    const alive = setInterval(() => {}, 1000)
    await closed
    clearInterval(alive)
  }
  const start = async () => {
    shell.stdin.write("start\n")
    const deadline = Date.now() + readyWithinMillis
    await until(() => pid !== undefined, deadline)
    while (!(await answers(port, program.greeting))) {
      if (pid === undefined || Date.now() > deadline) {
        const log = await readFile(join(folder, "log"), "utf8").catch(() => "")
        throw new Error(`${program.name} did not start on port ${port}:\n${log.slice(-2000)}`)
      }
      await sleep(askEveryMillis)
    }
  }
  const kill = async () => {
    signal("SIGKILL")
    await until(() => pid === undefined, Date.now() + readyWithinMillis)
  }
  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return { port, stop, kill, start, pause: () => signal("SIGSTOP"), resume: () => signal("SIGCONT") }
}

const until = async (holds: () => boolean, deadline: number) => {
  while (!holds()) {
    if (Date.now() > deadline) throw new Error("The guard shell does not answer")
    await sleep(1)
  }
}

const answers = (port: number, greeting: string | undefined) =>
  new Promise<boolean>((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" })
    const done = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.once("data", () => done(true)).once("error", () => done(false)).once("end", () => done(false))
    if (greeting !== undefined) socket.write(greeting)
  })

const freePort = async (): Promise<number> => {
  const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort))
  const free = await new Promise<boolean>((resolve) => {
    const server = createServer().once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })
  return free ? port : freePort()
}
