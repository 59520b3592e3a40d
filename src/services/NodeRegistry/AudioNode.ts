/** One engine node as this process knows it: what it last said of itself and when, and what runs there for us. */
import type { Clock } from "effect"
import { tierOf } from "../../domain/AudioNode.ts"
import type { EngineOffer, NodeState, NodeTier } from "../../domain/AudioNode.ts"
import { Cloning, EngineState } from "../../proto/scaiinfer/v1/audio.ts"
import type { AudioServiceClient, EngineInfo, GetInfoResponse, PresetVoice } from "../../proto/scaiinfer/v1/audio.ts"

/** How exactly a report by way of others is dated, ms; far less than the time between two of them. */
const datedMillis = 1000

export class AudioNode implements NodeState {
  readonly address: string
  readonly client: AudioServiceClient
  readonly source: "configured" | "heartbeat"
  readonly #clock: Clock.Clock
  readonly #isOpen: () => boolean
  /** As last reported; undefined until it has been heard once. */
  info: GetInfoResponse | undefined
  presets: ReadonlyArray<PresetVoice> = []
  /** What it looked like when its presets were asked for. */
  listedAs = ""
  engines: ReadonlyArray<EngineOffer> = []
  /** Epoch ms of its last sign of life. */
  seenAtMillis = 0
  /** Its connection broke or was refused after that. */
  lost = false
  /** Calls of this process that run there now. */
  running = 0
  #held = new Set<string>()

  constructor(options: {
    readonly address: string
    readonly client: AudioServiceClient
    readonly source: "configured" | "heartbeat"
    readonly clock: Clock.Clock
    readonly isOpen: () => boolean
  }) {
    this.address = options.address
    this.client = options.client
    this.source = options.source
    this.#clock = options.clock
    this.#isOpen = options.isOpen
  }

  /** Takes what the node said `ageMillis` ago, unless that is no news. */
  hear(info: GetInfoResponse, ageMillis: number): void {
    const at = this.#clock.currentTimeMillisUnsafe() - ageMillis
    // A report that comes by way of others is dated to within some ms: the same one again must not look like a new one.
    if (ageMillis > 0 && at <= this.seenAtMillis + datedMillis) return
    this.seenAtMillis = at
    this.lost = false
    this.info = info
    this.engines = info.engines.map(offerOf)
    this.#held = new Set(info.heldReferences.map((digest) => Buffer.from(digest).toString("hex")))
  }

  /** It has just spoken, a sign of life like any report: those may come late to a process that has much to do. */
  spoke(): void {
    this.seenAtMillis = this.#clock.currentTimeMillisUnsafe()
  }

  /** In words for logs and callers. */
  get name(): string {
    return this.info?.nodeId || this.address
  }

  get tier(): NodeTier {
    if (this.info === undefined || this.lost) return "stale"
    return tierOf(this.#clock.currentTimeMillisUnsafe() - this.seenAtMillis)
  }

  get draining(): boolean {
    return this.info?.draining ?? false
  }

  get tripped(): boolean {
    return this.#isOpen()
  }

  get capacity(): number {
    return this.info?.load?.capacity ?? 1
  }

  /** By the node's own report or by what this process runs there, whichever is more. */
  get active(): number {
    return Math.max(this.running, this.info?.load?.active ?? 0)
  }

  get queued(): number {
    return this.info?.load?.queued ?? 0
  }

  holds(sha256: string): boolean {
    return this.#held.has(sha256)
  }

  /** It was sent there just now, ahead of the node's next report; or the node says that it does not hold it. */
  setHeld(sha256: string, held: boolean): void {
    if (held) this.#held.add(sha256)
    else this.#held.delete(sha256)
  }

  get heldCount(): number {
    return this.#held.size
  }
}

const cloningOf = {
  [Cloning.UNSPECIFIED]: "none",
  [Cloning.FITTED]: "fitted",
  [Cloning.ZERO_SHOT]: "zero_shot"
} as const

/** Nodes of before the state was reported leave it out: ready. */
export const isReady = (state: EngineState): boolean => state === EngineState.READY || state === EngineState.UNSPECIFIED

const offerOf = ({ abilities, engine, state }: EngineInfo): EngineOffer => ({
  engine,
  ready: isReady(state),
  cloning: cloningOf[abilities?.cloning as keyof typeof cloningOf] ?? "none",
  design: abilities?.design ?? false
})
