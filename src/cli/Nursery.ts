/**
 * Gives this process a small young generation, which V8 takes from the command line only: the program is replaced by itself
 * with the option, under the same process id.
 *
 * Sound that passes through is garbage at once, and V8 would let 48 MB of it gather before it looks. A worker with 2 MB
 * grows by 15 MB over a text by which it else grows by 109 (`npm run bench:jobs long`), and is no slower.
 */
import { Effect } from "effect"

const option = "--max-semi-space-size=2"

/** Where a process cannot replace itself, it stays as it is. */
export const small = Effect.sync(() => {
  const { argv, env, execArgv, execPath, execve } = process
  if (execve === undefined || execArgv.includes(option)) return
  execve.call(process, execPath, [execPath, option, ...execArgv, ...argv.slice(1)], env)
})
