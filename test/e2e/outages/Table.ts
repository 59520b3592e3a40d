/** What became of the calls of each phase, for a reader. */
import type { Call } from "./Call.ts"
import { outcomes } from "./Verdict.ts"
import type { Outcome } from "./Verdict.ts"

export interface Phase {
  readonly name: string
  readonly calls: ReadonlyArray<Call>
  /** Calls that were open at once. */
  readonly openMost: number
  readonly counts: ReadonlyMap<Outcome, number>
}

const quantile = (values: ReadonlyArray<number>, share: number) =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)] ?? 0

export const table = (phases: ReadonlyArray<Phase>): string => {
  const head = ["phase", "open", "calls", ...outcomes, "answer max ms", "silence max ms", "p99 ms", "slowest ms"]
  const rows = phases.map(({ calls, counts, name, openMost }) => [
    name,
    openMost,
    calls.length,
    ...outcomes.map((outcome) => counts.get(outcome) ?? 0),
    Math.round(Math.max(...calls.map(({ answeredMillis }) => answeredMillis))),
    Math.round(Math.max(...calls.map(({ silenceMillis }) => silenceMillis))),
    Math.round(quantile(calls.map(({ totalMillis }) => totalMillis), 0.99)),
    Math.round(quantile(calls.map(({ totalMillis }) => totalMillis), 1))
  ])
  const lines = [head, ...rows].map((row) => row.map(String))
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
    .join("\n")
}
