/** What the texts of one session came to, added up for each backend that spoke them. */
import { Effect } from "effect"
import type { Backend } from "../../domain/BackendPolicy.ts"
import type { SynthesisId } from "../../domain/Ids.ts"
import type { HoldFacts } from "../Accounting.ts"
import { makeId } from "../Ids.ts"

/** Sentences on how texts were routed that a row keeps: an hour's session has a thousand texts. */
const reasonsMax = 32

interface Row {
  readonly synthesisId: Effect.Effect<SynthesisId>
  readonly characters: number
  readonly facts: HoldFacts
}

export class SessionAccount {
  /** In the order of their first word. */
  readonly #rows = new Map<Backend, { characters: number; readonly facts: HoldFacts }>()

  add(characters: number, facts: HoldFacts): void {
    const { backend } = facts
    // Refused before any backend was asked: nothing was used.
    if (backend === undefined) return
    const row = this.#rows.get(backend)
    if (row === undefined) {
      const own: HoldFacts = { ...facts, reasons: (facts.reasons ?? []).slice(0, reasonsMax) }
      // How a text ended is not how the session does.
      delete own.outcome
      delete own.errorCode
      this.#rows.set(backend, { characters, facts: own })
      return
    }
    const { firstAudioMs = facts.firstAudioMs, ignoredParams = [], reasons = [] } = row.facts
    row.characters += characters
    Object.assign(row.facts, {
      // Whoever spoke last stands for all.
      nodeId: facts.nodeId ?? row.facts.nodeId,
      engine: facts.engine ?? row.facts.engine,
      model: facts.model ?? row.facts.model,
      audioMs: (row.facts.audioMs ?? 0) + (facts.audioMs ?? 0),
      ignoredParams: [...new Set([...ignoredParams, ...(facts.ignoredParams ?? [])])],
      reasons: [...new Set([...reasons, ...(facts.reasons ?? [])])].slice(0, reasonsMax),
      ...(firstAudioMs === undefined ? {} : { firstAudioMs })
    })
  }

  /** The first row has the session's own id, so that the id that its calls went out under leads there. */
  rows(sessionsOwn: SynthesisId): ReadonlyArray<Row> {
    return [...this.#rows.values()].map(({ characters, facts }, i) => ({
      synthesisId: i === 0 ? Effect.succeed(sessionsOwn) : makeId("syn"),
      characters,
      facts
    }))
  }
}
