/**
 * `WS /voices/record`: a voice or a consent recorded live, its level told back ten times a second, and kept for the
 * `POST /voices` that names it.
 *
 * The sound is in memory until `stop`; then it is measured and, if it passes, kept. A socket that is dropped at any moment
 * leaves nothing: no file, no object, no row. Bounded: sockets at once, length, a frame, silence, and the whole.
 */
import { Effect, Layer, Option, Schema, Semaphore, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { ClientTooSlow, ConcurrencyLimited, InvalidRequest, SessionTimeout } from "../domain/Failure.ts"
import { RecorderFrame } from "../domain/RecorderFrame.ts"
import type { Open, RecordedPart, RecorderAnswer } from "../domain/RecorderFrame.ts"
import { frameBytesMax } from "../domain/stream/ClientFrame.ts"
import { ClipFiles } from "../services/ClipFiles.ts"
import { ClipIntake } from "../services/ClipIntake.ts"
import { Recordings } from "../services/Recordings.ts"
import { makeTake } from "./recorder/Take.ts"
import { framesOf, serve } from "./websocket/Serve.ts"
import type { Connection } from "./websocket/Upgrade.ts"

export interface RecorderOptions {
  readonly path: `/${string}`
  /** Of a reference that passes. */
  readonly referenceMsMax: number
  /** Longest silence of a client, ms; 10 s where it is not said. */
  readonly idleMsMax?: number
  /** Longest time that a client may take to read what it is told, ms; 5 s where it is not said. */
  readonly writeMsMax?: number
}

/** At once, in this process: each holds its sound in memory, 12 MB at most, and has it measured. */
const recordersMax = 32
/** People do not stop on the dot; what is too long by less is measured and told so. */
const marginMillis = 5_000
const consentMillisMax = 60_000
/** Microphones send ten to fifty a second. */
const idleMillisMax = 10_000
/** Beyond the sound itself: to begin, to pause, to be measured. */
const restMillisMax = 120_000
const writeMillisMax = 5_000

export const layer = (
  { idleMsMax = idleMillisMax, path, referenceMsMax, writeMsMax = writeMillisMax }: RecorderOptions
) =>
  Layer.unwrap(Effect.gen(function*() {
    const files = yield* ClipFiles
    const intake = yield* ClipIntake
    const recordings = yield* Recordings
    const semaphore = Semaphore.makeUnsafe(recordersMax)
    const durationMax = { reference: referenceMsMax + marginMillis, consent: consentMillisMax }

    const say = ({ send }: Connection, frame: RecorderAnswer) =>
      Effect.timeoutOrElse(send(JSON.stringify(frame)), {
        duration: writeMsMax,
        orElse: () => Effect.fail(new ClientTooSlow({ waitedMs: writeMsMax }))
      })

    const recorded = Effect.fnUntraced(function*(
      connection: Connection,
      part: RecordedPart,
      wav: ReadonlyArray<Uint8Array>
    ) {
      const clip = yield* files.keep(part, Stream.fromIterable(wav))
      const preflight = yield* part === "reference" ? intake.measure(clip) : intake.measureConsent(clip)
      const recording_id = preflight.passed ? yield* recordings.keep(connection.user, part, clip) : null
      connection.resourceId = recording_id
      yield* Effect.onError(
        say(connection, { type: "recorded", recording_id, preflight }),
        // Nobody knows of it.
        () => recording_id === null ? Effect.void : Effect.ignore(recordings.discard(recording_id), { log: "Warn" })
      )
    })

    const record = Effect.fnUntraced(function*(connection: Connection, frames: Frames, open: Open) {
      const duration_ms = durationMax[open.part]
      const take = yield* makeTake(open, duration_ms)
      yield* say(connection, {
        type: "ready",
        limits: { duration_ms, frame_bytes: frameBytesMax, idle_ms: idleMsMax }
      })
      for (;;) {
        const frame = yield* frames
        if (typeof frame === "string") {
          if ((yield* decodeFrame(frame)).type === "stop") break
          return yield* InvalidRequest.field("type", "open comes once")
        }
        for (const level of yield* take.push(frame)) yield* say(connection, { type: "level", ...level })
      }
      // A client that hangs up now wants nothing any more.
      yield* Effect.raceFirst(recorded(connection, open.part, take.wav()), Effect.forever(connection.receive))
    })

    const session = Effect.fnUntraced(function*(connection: Connection) {
      const frames = framesOf(connection, idleMsMax)
      const frame = yield* frames
      const open = typeof frame === "string" ? yield* decodeFrame(frame) : undefined
      if (open?.type !== "open") return yield* InvalidRequest.field("type", "the first frame must be open")
      const wholeMillisMax = durationMax[open.part] + restMillisMax
      yield* Effect.timeoutOrElse(record(connection, frames, open), {
        duration: wholeMillisMax,
        orElse: () => Effect.fail(new SessionTimeout({ waitedMs: wholeMillisMax }))
      })
    }, Effect.scoped)

    const limited = Effect.fnUntraced(function*(connection: Connection) {
      const done = yield* semaphore.withPermitsIfAvailable(1)(session(connection))
      if (Option.isNone(done)) return yield* new ConcurrencyLimited({ limit: recordersMax })
    })

    return HttpRouter.add(
      "GET",
      path,
      serve({ action: "intake.record", permission: "scaispeak:voice.write" }, limited)
    )
  }))

type Frames = ReturnType<typeof framesOf>

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(RecorderFrame))

const decodeFrame = (text: string) =>
  Effect.mapError(
    decode(text, { onExcessProperty: "error" }),
    () => InvalidRequest.field("frame", "is neither open {part, sample_rate, codec} nor stop")
  )
