/**
 * Gives this process a small young generation, which V8 takes from the command line only: the program is replaced by itself
 * with the option, under the same process id. `npm start` has the option already, and saves the second start.
 *
 * Sound that passes through is garbage at once, and V8 would let 64 MiB of it and more gather before it looks: a worker of
 * 2 MiB grows by 9 MB over a text of 100 000 characters, one without by 74 (`npm run bench:jobs long`). What is alive of it
 * is copied while calls wait: with a thousand live sessions 20 ms of V8's own size, 5 ms of 8 MiB
 * (`docs/decisions/0012-what-a-thousand-sessions-leave-to-the-collector.md`).
 */
import { Effect } from "effect"

const option = "--max-semi-space-size"

/** Unless its size is said already, by whoever started the program. Where a process cannot replace itself, it stays as it is. */
export const of = (mebibytes: number) =>
  Effect.sync(() => {
    const { argv, env, execArgv, execPath, execve } = process
    const isSaid = [...execArgv, env["NODE_OPTIONS"] ?? ""].some((words) => words.includes(option))
    if (execve === undefined || isSaid) return
    execve.call(process, execPath, [execPath, `${option}=${mebibytes}`, ...execArgv, ...argv.slice(1)], env)
  })
