/** How the program ends: 0 after a signal and a clean drain, 1 with one line for what went wrong. */
import { Cause, Exit } from "effect"
import type { Runtime } from "effect"

/** The last line that a person reads: the message of an expected failure, the whole cause of a defect. */
const explain = (cause: Cause.Cause<unknown>): string => {
  const failure = cause.reasons.find(Cause.isFailReason)?.error
  if (failure instanceof Error) return failure.message
  return Cause.pretty(cause)
}

export const exitWith: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return onExit(0)
  process.stderr.write(`${explain(exit.cause)}\n`, () => onExit(1))
}
