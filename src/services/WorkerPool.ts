/**
 * Worker threads that take one job at a time, shared fairly: callers take turns, job by job, so that a long text does not
 * keep a short one waiting.
 *
 * A job that is abandoned before its turn is dropped; one that runs is finished and thrown away. A worker that crashes or
 * takes too long fails the job it has, and is replaced; no other job notices. Nothing here bounds the queue: callers do,
 * by how many jobs they hand in at once.
 */
import { Effect, Schema, type Scope } from "effect"
import { type ResourceLimits, Worker } from "node:worker_threads"

/** The job cannot be finished: its worker broke, hung, or says why not. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

export interface WorkerPool<Job, Made> {
  /** `caller` is whose turn the job takes: any object that stands for one call. */
  readonly run: (caller: object, job: Job) => Effect.Effect<Made, WorkerFailed>
  readonly queued: () => number
  /** Jobs inside workers, abandoned ones included. */
  readonly running: () => number
}

export interface WorkerPoolOptions {
  /** Threads. */
  readonly size: number
  /** A module that answers each message, a job, with `{ made }` or `{ failure: string }`. */
  readonly entry: URL
  readonly workerData: unknown
  /** A worker that is silent for longer is taken for hung. */
  readonly jobMillisMax: number
  /** Whether threads start with the first jobs that need them, and not with the pool. */
  readonly lazy?: boolean
  /** Of each thread; one that needs more ends. */
  readonly resourceLimits?: ResourceLimits
}

/** What a worker answers. */
export type Answer<Made> = { readonly made: Made } | { readonly failure: string }

interface Task<Job, Made> {
  readonly job: Job
  settle: (effect: Effect.Effect<Made, WorkerFailed>) => void
}

/** The workers end with the scope; jobs still inside fail. */
export const make = <Job, Made>(
  options: WorkerPoolOptions
): Effect.Effect<WorkerPool<Job, Made>, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => new Pool<Job, Made>(options)), (pool) => pool.close)

const shuttingDown = "the pool is shutting down"

class Pool<Job, Made> implements WorkerPool<Job, Made> {
  readonly #options: WorkerPoolOptions
  /** Callers in order of their next turn. */
  readonly #waiting = new Map<object, Array<Task<Job, Made>>>()
  readonly #idle: Array<Worker> = []
  /** What a worker is doing, as the way to fail it. */
  readonly #busy = new Map<Worker, (failure: string) => void>()
  #closed = false

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    if (options.lazy !== true) { for (let i = 0; i < options.size; i++) this.#idle.push(this.#start()) }
  }

  readonly queued = () => [...this.#waiting.values()].reduce((sum, tasks) => sum + tasks.length, 0)
  readonly running = () => this.#busy.size

  readonly run = (caller: object, job: Job): Effect.Effect<Made, WorkerFailed> =>
    Effect.callback((settle) => {
      if (this.#closed) return settle(Effect.fail(new WorkerFailed({ reason: shuttingDown })))
      const task = { job, settle }
      const tasks = this.#waiting.get(caller)
      if (tasks === undefined) this.#waiting.set(caller, [task])
      else tasks.push(task)
      this.#dispatch()
      return Effect.sync(() => this.#drop(caller, task))
    })

  readonly close = Effect.suspend(() => {
    this.#closed = true
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()]
    for (const fail of this.#busy.values()) fail(shuttingDown)
    for (const { settle } of [...this.#waiting.values()].flat()) {
      settle(Effect.fail(new WorkerFailed({ reason: shuttingDown })))
    }
    this.#waiting.clear()
    return Effect.promise(() => Promise.all(workers.map((worker) => worker.terminate())))
  })

  #drop(caller: object, task: Task<Job, Made>): void {
    task.settle = () => {}
    const tasks = this.#waiting.get(caller)?.filter((other) => other !== task) ?? []
    if (tasks.length === 0) this.#waiting.delete(caller)
    else this.#waiting.set(caller, tasks)
  }

  #dispatch(): void {
    while (!this.#closed) {
      const turn = this.#waiting.entries().next().value
      if (turn === undefined || (this.#idle.length === 0 && this.#busy.size >= this.#options.size)) return
      const [caller, [task, ...later]] = turn
      this.#waiting.delete(caller)
      if (later.length > 0) this.#waiting.set(caller, later)
      this.#give(this.#idle.pop() ?? this.#start(), task!)
    }
  }

  #give(worker: Worker, task: Task<Job, Made>): void {
    const { jobMillisMax } = this.#options
    const leave = () => {
      clearTimeout(watchdog)
      worker.off("message", answered)
      this.#busy.delete(worker)
    }
    const answered = (answer: Answer<Made>) => {
      leave()
      this.#idle.push(worker)
      task.settle(
        "made" in answer
          ? Effect.succeed(answer.made)
          : Effect.fail(new WorkerFailed({ reason: answer.failure }))
      )
      this.#dispatch()
    }
    const failed = (reason: string) => {
      leave()
      task.settle(Effect.fail(new WorkerFailed({ reason })))
    }
    const watchdog = setTimeout(() => this.#lose(worker, `no answer in ${jobMillisMax} ms`), jobMillisMax)
    this.#busy.set(worker, failed)
    worker.on("message", answered)
    worker.postMessage(task.job)
  }

  #start(): Worker {
    const { entry, resourceLimits, workerData } = this.#options
    const worker = new Worker(entry, { workerData, ...(resourceLimits === undefined ? {} : { resourceLimits }) })
    worker.on("error", (cause) => this.#lose(worker, `its worker broke: ${cause}`))
    worker.on("exit", (code) => this.#lose(worker, `its worker ended with code ${code}`))
    return worker
  }

  /**
   * Fails the job it had. Another worker starts when a job waits for one, never on its own: one that cannot start at all
   * fails a job each time and does nothing else.
   */
  #lose(worker: Worker, reason: string): void {
    const at = this.#idle.indexOf(worker)
    if (at !== -1) this.#idle.splice(at, 1)
    this.#busy.get(worker)?.(reason)
    void worker.terminate()
    this.#dispatch()
  }
}
