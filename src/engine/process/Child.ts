/**
 * One run of an engine's process, seen from the node: forked, loaded, watched, and killed when its scope closes.
 *
 * A process that says nothing while a listener waits, that does not stop a cancelled call, or that ends, is lost: it is
 * killed and each of its calls fails. It has none of the node's environment, so none of its
 * secrets, and a process group of its own, so that a Ctrl-C leaves it to finish its calls.
 */
import { Deferred, Effect, Schema, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { IncomingCalls } from "./IncomingCalls.ts"
import type { Facts } from "./Model.ts"
import type { FromProcess, ToProcess } from "./Protocol.ts"

/** The process is gone, or of no use. `lasting` when starting another soon cannot help. */
export class ChildLost extends Schema.TaggedError<ChildLost>()("ChildLost", {
  reason: Schema.String,
  lasting: Schema.Boolean
}) {}

export interface ChildOptions {
  /** A module that calls `host` of `Host.ts`. */
  readonly entry: URL
  /** What its `load` is given: plain data. */
  readonly settings: unknown
  /** From its start until the model has spoken its probe. */
  readonly loadMillisMax: number
  /** Longest silence towards a listener that waits. */
  readonly quietMillisMax: number
  /** From a cancellation until the call has ended. */
  readonly cancelMillisMax: number
}

/** What a native library prints while it loads is an operator's to read, but not without end. */
const linesMax = 20
const lineLengthMax = 300

export const start = (options: ChildOptions): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => new Child(options)), (child) => child.end)

export class Child {
  readonly loaded = Deferred.makeUnsafe<Facts, ChildLost>()
  readonly lost = Deferred.makeUnsafe<never, ChildLost>()
  /** What it prints until it is loaded. What it prints later may quote a text that is spoken, and goes nowhere. */
  readonly lines: Array<string> = []
  readonly calls: IncomingCalls
  readonly #options: ChildOptions
  readonly #process: ChildProcess
  readonly #closed: Promise<unknown>
  #quiet: NodeJS.Timeout | undefined
  #isLoaded = false
  #isLost = false

  constructor(options: ChildOptions) {
    this.#options = options
    const { cancelMillisMax } = options
    this.calls = new IncomingCalls({
      send: (message) => this.#send(message),
      changed: () => this.#watch(),
      cancelMillisMax,
      overdue: () => this.#lose(`it did not stop a cancelled call within ${cancelMillisMax} ms`)
    })
    this.#process = fork(options.entry, {
      serialization: "advanced",
      execArgv: ["--disable-warning=ExperimentalWarning"],
      env: {},
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    this.#closed = once(this.#process, "close").catch(() => {})
    for (const output of [this.#process.stdout!, this.#process.stderr!]) {
      createInterface({ input: output }).on("line", (line) => this.#print(line))
    }
    this.#process.on("message", (message: FromProcess) => this.#hear(message))
    this.#process.on("error", (cause) => this.#lose(`its process cannot be started: ${cause.message}`))
    this.#process.on("close", (code, signal) => {
      this.#lose(`its process ended with ${signal ?? `code ${code}`}${this.#isLoaded ? "" : this.#printed()}`)
    })
    this.#quiet = setTimeout(
      () => this.#lose(`its model did not speak within ${options.loadMillisMax} ms${this.#printed()}`),
      options.loadMillisMax
    )
    this.#send({ type: "load", settings: options.settings })
  }

  readonly end = Effect.suspend(() => {
    this.#lose("the node is shutting down")
    return Effect.promise(() => this.#closed)
  })

  #hear(message: FromProcess): void {
    if (this.#isLost) return
    if (message.type === "ready") {
      this.#isLoaded = true
      Deferred.doneUnsafe(this.loaded, Effect.succeed(message.facts))
    } else if (message.type === "unusable") {
      return this.#lose(message.reason, message.lasting)
    } else {
      this.calls.hear(message)
    }
    this.#watch()
  }

  /** Starts to count anew, while there is a listener whom the process keeps waiting. */
  #watch(): void {
    clearTimeout(this.#quiet)
    if (!this.calls.isAwaited()) return
    const { quietMillisMax } = this.#options
    this.#quiet = setTimeout(() => this.#lose(`it said nothing for ${quietMillisMax} ms`), quietMillisMax)
  }

  #lose(reason: string, lasting = false): void {
    if (this.#isLost) return
    this.#isLost = true
    clearTimeout(this.#quiet)
    this.#process.kill("SIGKILL")
    const failure = Effect.fail(new ChildLost({ reason, lasting }))
    Deferred.doneUnsafe(this.loaded, failure)
    Deferred.doneUnsafe(this.lost, failure)
    this.calls.lose(reason)
  }

  /** A process that is gone is noticed when it closes. */
  #send(message: ToProcess): void {
    if (this.#process.connected) this.#process.send(message, () => {})
  }

  #print(line: string): void {
    if (!this.#isLoaded && this.lines.length < linesMax && line.trim() !== "") {
      this.lines.push(line.slice(0, lineLengthMax))
    }
  }

  /** A library that aborts says why in its first lines, and then where. */
  #printed(): string {
    return this.lines.length === 0 ? "" : `: ${this.lines.slice(0, 2).join("; ")}`
  }
}
