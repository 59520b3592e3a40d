/**
 * The state of one live session. Everything here happens at once: frames change it, a transport takes from it, time passes
 * over it. Only speaking takes time, and that has a fiber of its own.
 *
 * `now`: ms of one clock.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import {
  ClientTooSlow,
  InvalidRequest,
  meanings,
  RateLimited,
  SessionTimeout,
  ShuttingDown
} from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import type { Segment } from "../../domain/Segmenter.ts"
import { textBufferMax } from "../../domain/stream/ClientFrame.ts"
import type { LiveFrame } from "../../domain/stream/ClientFrame.ts"
import { closeCodeOf } from "../../domain/stream/CloseCode.ts"
import { controlFramesMax, FrameRate } from "../../domain/stream/FrameRate.ts"
import { heardAt } from "../../domain/stream/Heard.ts"
import { Playhead } from "../../domain/stream/Playhead.ts"
import { errorFrame, warning } from "../../domain/stream/ServerFrame.ts"
import type { Ready } from "../../domain/stream/ServerFrame.ts"
import type { SpeechSession } from "../../services/Synthesis.ts"
import type { Ending, OutputItem } from "../StreamService.ts"
import { Epoch } from "./Epoch.ts"
import { Outbox } from "./Outbox.ts"
import type { SentFrame } from "./Outbox.ts"
import { Script } from "./Script.ts"
import type { Tally } from "./Speaker.ts"

/** Longest time that a session which has reached its length may go on with what is buffered; ms. */
const expiringMillisMax = 60_000

export interface SessionOptions {
  readonly ready: Ready
  readonly speech: SpeechSession
  /** Whether it outlives its transport. */
  readonly resumable: boolean
  readonly now: number
  readonly writeMs: number
  /** Starts the fiber that speaks an epoch, and stops it. */
  readonly start: (epoch: Epoch, session: Session) => void
  readonly stop: (epoch: Epoch) => void
  /** The session is over: nothing is spoken any more, and what it came to may be settled. */
  readonly over: (why: string) => void
  /** Nobody will take anything from it any more. */
  readonly gone: (session: Session) => void
  readonly interrupted: () => void
}

const internalError = { type: "error", code: "INTERNAL_ERROR", ...meanings.INTERNAL_ERROR } as const

/** What stays of frames that were not sent when their speech is dropped: answers that somebody waits for. */
const answersOnly = (frame: SentFrame, droppedMs: number): SentFrame | undefined => {
  if (frame.type === "warning" || frame.type === "interrupted") return frame
  if (frame.type !== "flush_done" || droppedMs === 0) return frame.type === "flush_done" ? frame : undefined
  return { ...frame, audioMs: Math.max(0, Math.round(frame.audioMs - droppedMs)), interrupted: true }
}

type Interrupted = SentFrame & { readonly type: "interrupted" }

export class Session {
  readonly playhead = new Playhead()
  readonly outbox: Outbox
  readonly tally: Tally
  readonly options: SessionOptions
  readonly #rate = new FrameRate()
  readonly #script: Script
  readonly #openedAt: number
  #epoch = new Epoch()
  #epochs = 0
  /** The last answer to an interrupt, and what had been received then. */
  #answer: { readonly frame: Interrupted; readonly received: number } | undefined
  #paused = false
  /** What the end will be once everything buffered is spoken, and when that has to be. */
  #closing: { readonly failure: Failure | undefined; by: number; saidToText: boolean } | undefined
  #ending: Ending | undefined
  #transport = 0
  #lastFrameAt: number
  #lastTakeAt: number
  /** Set while no transport has it. */
  #detachedAt: number | undefined
  #cut: Array<(ending: Ending) => void> = []

  constructor(options: SessionOptions) {
    this.options = options
    this.outbox = new Outbox({ keeps: options.resumable, output: options.ready.output })
    this.tally = { backend: options.ready.backendUsed, spoke: false, segments: 0, characters: 0 }
    this.#script = new Script(options.speech.language)
    this.#openedAt =
      this.#lastFrameAt =
      this.#lastTakeAt =
      this.#detachedAt =
        options.now
  }

  get ending(): Ending | undefined {
    return this.#ending
  }

  // What the client says

  receive(frame: LiveFrame | Failure, now: number): void {
    if (this.#ending !== undefined) return
    this.#lastFrameAt = now
    if ("code" in frame) return this.fail(frame)
    if (frame.type === "text") return this.#text(frame.delta, now)
    if (this.#rate.isOver(now)) return this.fail(new RateLimited({ limit: controlFramesMax, retryAfter: 1 }))
    switch (frame.type) {
      case "flush":
        return this.#closing === undefined ? this.#flush(frame.id, now) : this.#say(warning("CLOSING"))
      case "interrupt":
        return this.#interrupt(frame.playedMs, now)
      case "close":
        return frame.mode === "abort" ? this.#abort(now) : this.#close(undefined, Infinity, now)
      case "pause":
      case "resume":
        return this.#pause(frame.type === "pause", now)
      case "played":
        this.playhead.report(frame.ms, now)
        return this.#epoch.notify("pace")
      case "keepalive":
        return
    }
  }

  #text(delta: string, now: number): void {
    if (this.#closing !== undefined) return this.#say(warning("CLOSING"))
    const segments = this.#script.push(delta)
    if (segments !== undefined) return this.#enqueue(segments, now)
    const expected = `the text that waits to be spoken must be at most ${textBufferMax} code points`
    this.fail(InvalidRequest.field("delta", expected))
  }

  #flush(id: string | undefined, now: number): void {
    this.#enqueue(this.#script.rest(), now)
    this.#epoch.queue.push({ _tag: "flush", id, hadText: this.#script.flushed() })
    this.#work()
  }

  #enqueue(segments: ReadonlyArray<Segment>, receivedAt: number): void {
    for (const segment of segments) {
      this.#epoch.queue.push({ _tag: "segment", segment, utterance: this.#script.utterance, receivedAt })
    }
    if (segments.length > 0) this.#work()
  }

  #work(): void {
    if (this.#epoch.fiber === undefined) this.options.start(this.#epoch, this)
    else this.#epoch.notify("work")
  }

  #pause(paused: boolean, now: number): void {
    if (paused === this.#paused) return
    this.#paused = paused
    if (paused) this.playhead.pause(now)
    else this.playhead.resume(now)
    this.outbox.paused = paused
    this.#epoch.notify("pace")
  }

  #interrupt(playedMs: number | undefined, now: number): void {
    const { begun, pending, received } = this.#script
    // Said again, or before there was anything to interrupt.
    if (this.#answer?.received === received) return this.#say(this.#answer.frame)
    const { queuedText, spoken } = this.#epoch
    const atMs = Math.min(playedMs ?? this.playhead.at(now), this.outbox.takenMs)
    const frame: Interrupted = {
      type: "interrupted",
      epoch: received === 0 ? 0 : ++this.#epochs,
      ...heardAt(spoken, queuedText + pending, begun, atMs)
    }
    this.#answer = { frame, received }
    this.options.interrupted()
    this.#dropSpeech(now)
    // A session that was closing has nothing left to say.
    if (this.#closing !== undefined) {
      this.#say(frame)
      return this.#finish()
    }
    this.#say(frame)
  }

  /** Ends the epoch: what it has said and not sent is forgotten, and its flushes are answered. */
  #dropSpeech(now: number): void {
    const { openFlushes, utterance } = this.#epoch
    this.#stopEpoch()
    this.outbox.drop(answersOnly)
    openFlushes.forEach(({ id }, i) =>
      this.#say({
        type: "flush_done",
        ...(id === undefined ? {} : { id }),
        audioMs: i === 0 ? Math.max(0, Math.round(this.outbox.takenMs - utterance.startMs)) : 0,
        characters: i === 0 ? utterance.characters : 0,
        interrupted: true
      })
    )
    this.#script.drop()
    this.#epoch = new Epoch()
    this.#paused = false
    this.outbox.paused = false
    this.playhead.skip(now)
  }

  #stopEpoch(): void {
    this.#epoch.live = false
    if (this.#epoch.fiber !== undefined) this.options.stop(this.#epoch)
  }

  #abort(now: number): void {
    this.#dropSpeech(now)
    this.#closed()
    this.#end({ closeCode: 1000, reason: "" }, "aborted")
  }

  /** Speaks what is buffered, until `by` at the latest, and ends. */
  #close(failure: Failure | undefined, by: number, now: number): void {
    if (this.#closing !== undefined) return
    this.#enqueue(this.#script.rest(), now)
    this.#closing = { failure, by, saidToText: false }
    this.#epoch.queue.push({ _tag: "end" })
    this.#work()
  }

  // What comes of speaking

  /** A segment up to this offset was given to a backend. */
  begun(end: number): void {
    this.#script.beginUpTo(end)
  }

  /** Everything that was to be spoken in this epoch is, and it had an end. */
  finish(epoch: Epoch): void {
    if (epoch.live) this.#finish()
  }

  #finish(): void {
    if (this.#ending !== undefined) return
    const failure = this.#closing?.failure
    if (failure !== undefined) return this.#endWith(failure)
    this.options.speech.ended.outcome = "completed"
    this.#closed()
    this.#end({ closeCode: 1000, reason: "" }, "closed")
  }

  /** A backend could not go on: what was said before is heard first. */
  broke(failure: Failure): void {
    if (this.#ending === undefined) this.#endWith(failure)
  }

  /** The session cannot go on: what was not sent is not heard. */
  fail(failure: Failure): void {
    if (this.#ending !== undefined) return
    this.#stopEpoch()
    this.outbox.drop(answersOnly)
    this.#endWith(failure)
  }

  /** The same, whether or not the transport comes to its end of it. */
  cut(failure: Failure): void {
    this.fail(failure)
    for (const react of this.#cut) react(this.#ending!)
  }

  /** A bug: nothing of it is told. */
  defect(): void {
    if (this.#ending === undefined) this.#endAs(internalError)
  }

  #endWith(failure: Failure): void {
    this.#endAs(errorFrame(failure))
  }

  #endAs(frame: ReturnType<typeof errorFrame>): void {
    const { code } = frame
    Object.assign(this.options.speech.ended, { outcome: "failed", errorCode: code })
    this.#say(frame)
    this.#end({ closeCode: closeCodeOf(code), reason: code }, code)
  }

  #closed(): void {
    const { backend, characters, segments } = this.tally
    this.#say({
      type: "closed",
      stats: {
        chars: characters,
        backendUsed: backend,
        audioMs: Math.round(this.outbox.pushedMs),
        segments,
        interrupted: this.#epochs
      }
    })
  }

  #end(ending: Ending, why: string): void {
    this.#stopEpoch()
    this.#ending = ending
    this.outbox.paused = false
    this.options.over(why)
    this.outbox.wake()
  }

  #say(frame: SentFrame): void {
    this.outbox.pushFrame(frame)
  }

  // What a transport does

  /** Another transport has it from now on. Gives what it is known by. */
  attach(now: number): number {
    this.#detachedAt = undefined
    this.#lastTakeAt = this.#lastFrameAt = now
    this.#cut = []
    this.#transport++
    this.outbox.wake()
    return this.#transport
  }

  /** The same, to go on behind item number `seq`; undefined, and nothing has changed, when that cannot be done without a gap. */
  takeUp(seq: number, now: number): number | undefined {
    if (!this.outbox.rewind(seq)) return undefined
    this.playhead.rewind(this.outbox.takenMs, now)
    return this.attach(now)
  }

  onCut(react: (ending: Ending) => void): void {
    this.#cut.push(react)
  }

  detach(transport: number, now: number): void {
    if (transport !== this.#transport) return
    this.#cut = []
    this.#detachedAt = now
    this.outbox.wake()
    if (!this.options.resumable) this.abandon()
  }

  /** What there is to send; nothing yet; or nothing any more. */
  take(transport: number, now: number): NonEmptyReadonlyArray<OutputItem> | "later" | "done" {
    if (transport !== this.#transport || this.#detachedAt !== undefined) return "done"
    const items = this.outbox.take()
    this.#lastTakeAt = now
    if (items.length > 0) {
      if (this.outbox.takenMs !== this.playhead.sentMs) this.playhead.sent(this.outbox.takenMs, now)
      this.#epoch.notify("room")
      return items as NonEmptyReadonlyArray<OutputItem>
    }
    if (this.#ending === undefined) return "later"
    this.options.gone(this)
    return "done"
  }

  // What time does

  /** Called about once a second. */
  tick(now: number): void {
    const { idleMs, resumeMs, sessionMs } = this.options.ready.limits
    const waited = now - this.#lastTakeAt
    if (this.#detachedAt !== undefined) {
      if (now - this.#detachedAt >= resumeMs) this.abandon()
    } else if (this.outbox.hasNext && !this.outbox.isAwaited && waited >= this.options.writeMs) {
      this.cut(new ClientTooSlow({ waitedMs: waited }))
      this.options.gone(this)
    }
    if (this.#ending !== undefined) return
    const quietMs = now - Math.max(this.#lastFrameAt, this.#paused ? 0 : this.#lastTakeAt)
    const isQuiet = this.#paused || (this.#epoch.queue.length === 0 && this.outbox.isEmpty)
    if (isQuiet && this.#detachedAt === undefined && quietMs >= idleMs) {
      return this.fail(new SessionTimeout({ waitedMs: quietMs }))
    }
    if (this.#closing === undefined) {
      if (now - this.#openedAt < sessionMs) return
      this.#say(warning("SESSION_EXPIRING"))
      this.#close(undefined, now + expiringMillisMax, now)
    } else if (now >= this.#closing.by) {
      if (this.#closing.failure === undefined) this.#abort(now)
      else this.fail(this.#closing.failure)
    }
  }

  /** The process goes away. */
  drain(now: number, by: number): void {
    if (this.#detachedAt !== undefined) return this.abandon()
    if (this.#closing !== undefined) this.#closing.by = Math.min(this.#closing.by, by)
    else this.#close(new ShuttingDown(), by, now)
  }

  /** Nobody is there any more, whatever it is doing. */
  abandon(): void {
    if (this.#ending === undefined) {
      this.#stopEpoch()
      this.#end({ closeCode: 1000, reason: "" }, "abandoned")
    }
    this.options.gone(this)
  }
}
