/** What the texts of one session came to, added up for each backend that spoke them. */
import { Effect } from "effect"
import type { Backend } from "../../domain/BackendPolicy.ts"
import type { SynthesisId } from "../../domain/Ids.ts"
import type { HoldFacts } from "../Accounting.ts"
import { makeId } from "../Ids.ts"
import { wasAsked } from "./Usage.ts"
import type { AskedFacts } from "./Usage.ts"

/** Sentences on how texts were routed that a row keeps: an hour's session has a thousand texts. */
const reasonsMax = 32

interface Row {
  readonly synthesisId: SynthesisId
  characters: number
  readonly facts: AskedFacts
}

export class SessionAccount {
  /** In the order of their first word. */
  readonly #rows = new Map<Backend, Omit<Row, "synthesisId"> & { synthesisId?: SynthesisId }>()
  readonly #sessionsOwn: SynthesisId
  #changed = false

  /** The first row has the session's own id, so that the id that its calls went out under leads there. */
  constructor(sessionsOwn: SynthesisId) {
    this.#sessionsOwn = sessionsOwn
  }

  /** Whether anything was added since the rows were last read. */
  get hasChanged(): boolean {
    return this.#changed
  }

  add(characters: number, facts: HoldFacts): void {
    if (!wasAsked(facts)) return
    const { backend } = facts
    this.#changed = true
    const row = this.#rows.get(backend)
    if (row === undefined) {
      const own: AskedFacts = { ...facts, reasons: (facts.reasons ?? []).slice(0, reasonsMax) }
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

  /** Each under the same id whenever they are read. */
  readonly rows: Effect.Effect<ReadonlyArray<Row>> = Effect.suspend(() => {
    this.#changed = false
    return Effect.forEach(
      this.#rows.values(),
      (row, i) =>
        Effect.map(
          row.synthesisId !== undefined || i === 0
            ? Effect.succeed(row.synthesisId ?? this.#sessionsOwn)
            : makeId("syn"),
          (synthesisId) => Object.assign(row, { synthesisId })
        )
    )
  })
}
