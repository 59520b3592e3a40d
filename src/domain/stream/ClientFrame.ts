/** What a client says in a live session: wire names, bounds, and one failure entry a field. Every transport carries these. */
import { Effect, Result, Schema } from "effect"
import { BackendPreference } from "../BackendPolicy.ts"
import { InvalidRequest } from "../Failure.ts"
import { SessionId, VoiceId } from "../Ids.ts"
import { invalid } from "../Issues.ts"
import { codePoints } from "../SpeakRequest.ts"
import { speechParamFields } from "../SpeechParams.ts"
import { Language } from "../Voice.ts"
import { OutputRequest } from "./StreamOutput.ts"

/** Code points that may wait to be spoken, and so the longest delta. */
export const textBufferMax = 8000
/** Bytes of a frame from the client. */
export const frameBytesMax = 64 * 1024

const Millis = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** Where to go on after a dropped transport. `last_seq`: frames received after `ready`, binary ones included. */
export const Resumption = Schema.Struct({
  sessionId: SessionId,
  token: Schema.NonEmptyString.check(Schema.isMaxLength(128)),
  lastSeq: Schema.Natural
}).pipe(Schema.encodeKeys({ sessionId: "session_id", lastSeq: "last_seq" }))

const { cfgValue, instructions, seed, speed } = speechParamFields

export const Open = Schema.Struct({
  type: Schema.Literal("open"),
  voiceId: VoiceId,
  languageHint: Schema.optionalKey(Language),
  speed,
  instructions,
  cfgValue,
  seed,
  output: OutputRequest.pipe(Schema.withDecodingDefaultKey(Effect.succeed({ codec: "opus" }))),
  backendPreference: BackendPreference.pipe(Schema.withDecodingDefaultKey(Effect.succeed("any" as const))),
  timestamps: Schema.Literals(["none", "word"]).pipe(Schema.withDecodingDefaultKey(Effect.succeed("none" as const))),
  resume: Schema.optionalKey(Resumption)
}).pipe(Schema.encodeKeys({
  voiceId: "voice_id",
  languageHint: "language_hint",
  cfgValue: "cfg_value",
  backendPreference: "backend_preference"
})).annotate({ description: "The first frame, within 10 s." })
export type Open = typeof Open.Type

export const Text = Schema.Struct({
  type: Schema.Literal("text"),
  delta: Schema.String.check(
    Schema.makeFilter(
      (delta) =>
        delta.length > 2 * textBufferMax || codePoints(delta) > textBufferMax
          ? `must be at most ${textBufferMax} code points`
          : undefined,
      { description: `At most ${textBufferMax} code points` }
    )
  )
}).annotate({ description: "Appended to the text verbatim; where a delta is cut never matters." })

export const Flush = Schema.Struct({
  type: Schema.Literal("flush"),
  id: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(128)))
}).annotate({
  description: "Speaks what is buffered, even in mid-sentence, and ends an utterance. Answered by `flush_done`."
})

export const Interrupt = Schema.Struct({
  type: Schema.Literal("interrupt"),
  playedMs: Schema.optionalKey(Millis)
}).pipe(Schema.encodeKeys({ playedMs: "played_ms" })).annotate({
  description:
    "Barge-in: drops buffered text and audio and stops the backend. Answered by `interrupted`. `played_ms` is stream time."
})

export const Close = Schema.Struct({
  type: Schema.Literal("close"),
  mode: Schema.Literals(["drain", "abort"]).pipe(Schema.withDecodingDefaultKey(Effect.succeed("drain" as const)))
}).annotate({ description: "`drain` speaks what is buffered, `abort` drops it; then `closed` follows." })

export const Keepalive = Schema.Struct({ type: Schema.Literal("keepalive") }).annotate({
  description: "Restarts the idle clock."
})
export const Pause = Schema.Struct({ type: Schema.Literal("pause") }).annotate({
  description: "Holds audio, and what comes after it, until `resume` or `interrupt`."
})
export const Resume = Schema.Struct({ type: Schema.Literal("resume") }).annotate({ description: "Ends a pause." })
export const Played = Schema.Struct({ type: Schema.Literal("played"), ms: Millis }).annotate({
  description: "How far the listener is, in ms of stream time. Paces the synthesis."
})

/** Everything after `open`. */
export const clientFrames = [Text, Flush, Interrupt, Close, Keepalive, Pause, Resume, Played] as const
export const ClientFrame = Schema.Union([Open, ...clientFrames])
export type ClientFrame = typeof ClientFrame.Type
export type LiveFrame = Exclude<ClientFrame, Open>

const decodeUnknown = Schema.decodeUnknownResult(ClientFrame)
const types: ReadonlyArray<unknown> = [
  "open",
  "text",
  "flush",
  "interrupt",
  "close",
  "keepalive",
  "pause",
  "resume",
  "played"
] satisfies ReadonlyArray<ClientFrame["type"]>

/** A frame that was decoded from JSON (or made from another wire's message) to what it says. Unknown fields are ignored. */
export const decodeClientFrame = (frame: unknown): Result.Result<ClientFrame, InvalidRequest> => {
  const type = typeof frame === "object" && frame !== null && "type" in frame ? frame.type : undefined
  if (!types.includes(type)) {
    return Result.fail(InvalidRequest.field("type", `must be one of ${types.join(", ")}`))
  }
  return Result.mapError(decodeUnknown(frame, { errors: "all" }), invalid(String(type)))
}

/** The same for a frame as it stands on a JSON wire. */
export const parseClientFrame = (text: string): Result.Result<ClientFrame, InvalidRequest> => {
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch {
    return Result.fail(InvalidRequest.field("frame", "must be JSON"))
  }
  return decodeClientFrame(frame)
}
