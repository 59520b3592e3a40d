/**
 * Live speech: text comes in as it is written, audio goes out as it is heard. One orchestrator runs every session; a
 * transport (WebSocket, WebRTC, gRPC) only carries its frames.
 *
 * A transport decodes the first frame, `open`s with it, sends `ready`, and then does two things side by side until `take`
 * ends: hands every frame to `receive`, and sends whatever `take` gives, in that order, before it takes more. It decides
 * nothing. When its scope closes first, the session waits 30 s for another transport that resumes it.
 */
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Metric, Schedule, Scope } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { SessionNotFound, ShuttingDown } from "../domain/Failure.ts"
import type { Failure } from "../domain/Failure.ts"
import type { RequestId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { frameBytesMax, textBufferMax } from "../domain/stream/ClientFrame.ts"
import type { LiveFrame, Open } from "../domain/stream/ClientFrame.ts"
import type { CloseCode } from "../domain/stream/CloseCode.ts"
import { controlFramesMax } from "../domain/stream/FrameRate.ts"
import type { Ready, ServerFrame } from "../domain/stream/ServerFrame.ts"
import { outputOf } from "../domain/stream/StreamOutput.ts"
import { AudioEncoder } from "../services/AudioEncoder.ts"
import { held } from "../services/Held.ts"
import { makeId } from "../services/Ids.ts"
import { Synthesis } from "../services/Synthesis.ts"
import { step } from "../services/Trace.ts"
import { carried } from "./session/Carried.ts"
import type { Epoch } from "./session/Epoch.ts"
import { Session } from "./session/Session.ts"
import { speak, unsentMillisMax } from "./session/Speaker.ts"

/** What a transport sends: a frame in its own encoding, or audio as it is (a view: one Opus packet, or whole samples). */
export type OutputItem =
  | { readonly _tag: "frame"; readonly frame: Exclude<ServerFrame, Ready> }
  | { readonly _tag: "audio"; readonly bytes: Uint8Array }

/** How a session came to its end, once `take` has. */
export interface Ending {
  readonly closeCode: CloseCode
  /** For the peer of a close frame: a failure's code, or nothing. */
  readonly reason: string
}

/** A session as one transport has it. */
export interface StreamSession {
  /** To be sent before anything else. */
  readonly ready: Ready
  /**
   * Takes in a frame; never waits and never fails. A transport that got bytes which are no frame gives the failure instead
   * (`VALIDATION_ERROR`, `PAYLOAD_TOO_LARGE`): it ends the session.
   */
  readonly receive: (frame: LiveFrame | Failure) => void
  /**
   * The next items, in order, about 32 KiB of them at most: waits until there are any. Taking again says that the last ones
   * are written. `Done` once everything has been taken and the session is over, or when another transport has resumed it.
   */
  readonly take: Effect.Effect<NonEmptyReadonlyArray<OutputItem>, Cause.Done>
  /** The same without a fiber for each: hands `write` whatever there is until it is `Done`, each time `written` was called. */
  readonly pump: (
    write: (items: NonEmptyReadonlyArray<OutputItem>, written: () => void) => void
  ) => Effect.Effect<void>
  /** Set once `take` ends. */
  readonly ending: () => Ending
  /**
   * Calls `react` when the session ends while the transport may be waiting for its client, and what lies in its buffers
   * should not be heard or cannot be sent: the voice was stopped, or the client does not read. `take` has the `error` frame,
   * but a transport that is still writing has to break off by itself.
   */
  readonly onCut: (react: (ending: Ending) => void) => void
}

export interface OpenOptions {
  /** Whether the session waits for another transport when this one goes; else it is aborted at once. */
  readonly resumable: boolean
}

export interface StreamOptions {
  /** How far ahead of its listener a session may be when the next segment is begun, ms. */
  readonly leadMs: number
  /** Longest wait of what is ready for the transport to take it, ms. */
  readonly writeMs: number
  /** Silence of both sides after which a session ends, ms. */
  readonly idleMs: number
  /** Longest life of a session, ms. */
  readonly sessionMs: number
  /** How long a session waits for a transport, ms. */
  readonly resumeMs: number
}

export class StreamService extends Context.Service<StreamService, {
  /**
   * Opens a session, or takes one up again where `open.resume` says so. The transport has it until the scope closes.
   * Everything that refuses a synthesis refuses here: permission is the transport's to check, the rest is not.
   */
  readonly open: (
    caller: AuthUser,
    requestId: RequestId,
    open: Open,
    options?: OpenOptions
  ) => Effect.Effect<StreamSession, Failure, Scope.Scope>
  /**
   * From now on no session is opened, and each that lives ends with `SCAISPEAK_SHUTTING_DOWN` when it has spoken what is
   * buffered, or after `SCAISPEAK_DRAIN_MS`. Returns at once.
   */
  readonly drain: Effect.Effect<void>
  /** Sessions that live in this process, waiting ones included. */
  readonly sessions: () => number
}>()("scaispeak/StreamService") {
  static readonly layer = (options: { readonly stream: StreamOptions; readonly drainMs: number }) =>
    Layer.effect(StreamService, make(options.stream, options.drainMs))
}

const sessionsGauge = Metric.gauge("scaispeak_stream_sessions", { description: "Live sessions" })
const interruptsTotal = Metric.counter("scaispeak_stream_interrupts_total", {
  description: "Barge-ins",
  incremental: true
})
const endedTotal = Metric.counter("scaispeak_stream_ended_total", {
  description: "Live sessions that ended, by how: closed, aborted, abandoned, or the code of a failure",
  incremental: true
})

/** One look at all sessions: none has a timer of its own. */
const tickEvery = "1 second"
const tokenBytes = 32

interface Entry {
  readonly session: Session
  readonly caller: AuthUser
  /** SHA-256 of the resume token. */
  readonly token: Buffer
}

const make = Effect.fnUntraced(function*(options: StreamOptions, drainMs: number) {
  const synthesis = yield* Synthesis
  const encoder = yield* AudioEncoder
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const entries = new Map<string, Entry>()
  /** Of what ended, while it is put away. */
  const ending = new Set<Fiber.Fiber<void>>()
  let draining = false

  const putAway = (effect: Effect.Effect<void>) => {
    const fiber = run(effect)
    ending.add(fiber)
    fiber.addObserver(() => ending.delete(fiber))
  }
  const counted = Effect.suspend(() => Metric.update(sessionsGauge, entries.size))

  const start = (open: Open, fibers: Set<Fiber.Fiber<void>>) => (epoch: Epoch, session: Session) => {
    const { outbox, playhead, tally } = session
    const fiber = epoch.fiber = run(
      Effect.scoped(speak({
        epoch,
        speech: session.options.speech,
        encoder,
        output: session.options.ready.output,
        outbox,
        playhead,
        leadMs: options.leadMs,
        wordTimes: open.timestamps === "word",
        tally,
        now,
        onBegun: (end) => epoch.live && session.begun(end)
      })).pipe(
        step("StreamService.epoch", { session: session.options.ready.sessionId }),
        Effect.matchCauseEffect({
          onSuccess: () => Effect.sync(() => session.finish(epoch)),
          onFailure: (cause): Effect.Effect<void> => {
            if (!epoch.live || Cause.hasInterruptsOnly(cause)) return Effect.void
            const failure = cause.reasons.find(Cause.isFailReason)?.error
            if (failure !== undefined) return Effect.sync(() => session.broke(failure))
            return Effect.andThen(Effect.logError("a live session broke", cause), Effect.sync(() => session.defect()))
          }
        })
      )
    )
    fibers.add(fiber)
    fiber.addObserver(() => fibers.delete(fiber))
  }
  const stop = ({ fiber }: Epoch) => {
    if (fiber !== undefined) putAway(Fiber.interrupt(fiber))
  }

  const begin = Effect.fnUntraced(function*(caller: AuthUser, requestId: RequestId, open: Open, resumable: boolean) {
    const scope = yield* Scope.make()
    const { backendPreference, cfgValue, instructions, languageHint, seed, speed, timestamps, voiceId } = open
    const speech = yield* synthesis.open({
      caller,
      requestId,
      voiceId,
      languageHint,
      params: {
        ...(speed === undefined ? {} : { speed }),
        ...(instructions === undefined ? {} : { instructions }),
        ...(cfgValue === undefined ? {} : { cfgValue }),
        ...(seed === undefined ? {} : { seed })
      },
      preference: backendPreference,
      wordTimes: timestamps === "word",
      tags: []
    }).pipe(Scope.provide(scope), Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
    const sessionId = yield* makeId("ses")
    const token = randomBytes(tokenBytes).toString("base64url")
    const ready: Ready = {
      type: "ready",
      voiceId,
      backendUsed: speech.backend,
      sessionId,
      output: outputOf(open.output, speech.sampleRate()),
      limits: {
        textBufferCodePoints: textBufferMax,
        frameBytes: frameBytesMax,
        controlFramesPerSecond: controlFramesMax,
        unsentAudioMs: unsentMillisMax,
        ...options,
        resumeMs: resumable ? options.resumeMs : 0
      },
      resumeToken: token
    }
    const fibers = new Set<Fiber.Fiber<void>>()
    const session = new Session({
      ready,
      speech,
      resumable,
      now: yield* Clock.currentTimeMillis,
      writeMs: options.writeMs,
      start: start(open, fibers),
      stop,
      over: (why) => {
        putAway(
          Effect.suspend(() => Fiber.interruptAll([...fibers])).pipe(
            // What was said is on the session's account by now.
            Effect.andThen(Scope.close(scope, Exit.void)),
            Effect.andThen(Metric.update(Metric.withAttributes(endedTotal, { how: why }), 1))
          )
        )
      },
      gone: ({ outbox }) => {
        outbox.forget()
        if (entries.delete(sessionId)) putAway(counted)
      },
      interrupted: () => putAway(Metric.update(interruptsTotal, 1))
    })
    entries.set(sessionId, { session, caller, token: digest(token) })
    speech.onStop((failure) => session.cut(failure))
    yield* counted
    return session
  })

  /** Whoever asks for a session that it may not have learns only that there is none. */
  const resumed = Effect.fnUntraced(
    function*(caller: AuthUser, { lastSeq, sessionId, token }: NonNullable<Open["resume"]>) {
      const entry = entries.get(sessionId)
      const isTheirs = entry !== undefined && timingSafeEqual(entry.token, digest(token)) &&
        entry.caller.tenantId === caller.tenantId && entry.caller.userId === caller.userId
      if (!isTheirs) return yield* new SessionNotFound()
      const { session } = entry
      // At once: whoever had it until now takes nothing of what goes to the new one.
      const transport = session.takeUp(lastSeq, yield* Clock.currentTimeMillis)
      return transport === undefined ? yield* new SessionNotFound() : { session, transport }
    }
  )

  const open: StreamService["Service"]["open"] = Effect.fnUntraced(function*(
    caller,
    requestId,
    open,
    { resumable } = { resumable: true }
  ) {
    if (draining) return yield* new ShuttingDown()
    const attached = open.resume === undefined
      ? Effect.flatMap(
        begin(caller, requestId, open, resumable),
        (session) => Effect.map(Clock.currentTimeMillis, (now) => ({ session, transport: session.attach(now) }))
      )
      : resumed(caller, open.resume)
    const { session, transport } = yield* held(
      attached,
      ({ session, transport }) => Effect.sync(() => session.detach(transport, now())),
      { interruptible: true }
    )
    return carried(session, transport, now)
  })

  yield* Effect.forkScoped(Effect.repeat(
    Effect.delay(
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const { session } of entries.values()) session.tick(now)
      }),
      tickEvery
    ),
    Schedule.forever
  ))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      for (const { session } of entries.values()) session.abandon()
      return Fiber.awaitAll([...ending])
    })
  )

  return StreamService.of({
    open,
    drain: Effect.map(Clock.currentTimeMillis, (now) => {
      draining = true
      for (const { session } of entries.values()) session.drain(now, now + drainMs)
    }),
    sessions: () => entries.size
  })
})

const digest = (token: string): Buffer => createHash("sha256").update(token).digest()
