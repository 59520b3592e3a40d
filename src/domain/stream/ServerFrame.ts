/**
 * What the server says in a live session besides audio. Every transport carries these.
 *
 * Times are ms of stream time, which counts the audio sent since the session began; offsets are code points of all text
 * that the client has sent. Frames after `ready`, binary ones included, are numbered from 1 in the order of sending.
 */
import { Schema } from "effect"
import { Backend } from "../BackendPolicy.ts"
import { Detail, meanings, show } from "../Failure.ts"
import type { Code, Failure } from "../Failure.ts"
import { SessionId, VoiceId } from "../Ids.ts"
import { WordSource } from "../PcmChunk.ts"
import { StreamOutput } from "./StreamOutput.ts"

const Millis = Schema.Natural
/** Code point offsets `[from, to)` into all text sent. */
const Range = Schema.Tuple([Schema.Natural, Schema.Natural])

/** What a session is held to. */
export const StreamLimits = Schema.Struct({
  textBufferCodePoints: Schema.Natural,
  frameBytes: Schema.Natural,
  controlFramesPerSecond: Schema.Natural,
  idleMs: Schema.Natural,
  sessionMs: Schema.Natural,
  unsentAudioMs: Schema.Natural,
  leadMs: Schema.Natural,
  writeMs: Schema.Natural,
  resumeMs: Schema.Natural
}).pipe(Schema.encodeKeys({
  textBufferCodePoints: "text_buffer_code_points",
  frameBytes: "frame_bytes",
  controlFramesPerSecond: "control_frames_per_second",
  idleMs: "idle_ms",
  sessionMs: "session_ms",
  unsentAudioMs: "unsent_audio_ms",
  leadMs: "lead_ms",
  writeMs: "write_ms",
  resumeMs: "resume_ms"
}))
export type StreamLimits = typeof StreamLimits.Type

export const Ready = Schema.Struct({
  type: Schema.Literal("ready"),
  voiceId: VoiceId,
  backendUsed: Backend,
  sessionId: SessionId,
  output: StreamOutput,
  limits: StreamLimits,
  /** A secret: whoever has it can take the session over. */
  resumeToken: Schema.String
}).pipe(Schema.encodeKeys({
  voiceId: "voice_id",
  backendUsed: "backend_used",
  sessionId: "session_id",
  resumeToken: "resume_token"
})).annotate({ description: "The first frame of every connection; not numbered." })
export type Ready = typeof Ready.Type

export const SegmentFrame = Schema.Struct({
  type: Schema.Literal("segment"),
  /** From 1; a flush ends one. */
  utterance: Schema.Natural,
  /** From 1, in the session. */
  segment: Schema.Natural,
  text: Schema.String,
  startMs: Millis,
  chars: Range
}).pipe(Schema.encodeKeys({ startMs: "start_ms" })).annotate({
  description: "Before the first audio of a sentence, or of a part of one."
})

export const StreamWord = Schema.Struct({
  text: Schema.String,
  startMs: Millis,
  endMs: Millis,
  chars: Range,
  source: WordSource
}).pipe(Schema.encodeKeys({ startMs: "start_ms", endMs: "end_ms" }))
export type StreamWord = typeof StreamWord.Type

export const Words = Schema.Struct({
  type: Schema.Literal("words"),
  segment: Schema.Natural,
  words: Schema.Array(StreamWord)
}).annotate({
  description: "With `timestamps: \"word\"`: engine's own times before their audio, estimated ones after it."
})

export const FlushDone = Schema.Struct({
  type: Schema.Literal("flush_done"),
  /** As the flush gave it; absent if it gave none. */
  id: Schema.optionalKey(Schema.String),
  /** ms of audio that the utterance came to. */
  audioMs: Millis,
  /** Code points of the utterance that were given to a backend. */
  characters: Schema.Natural,
  /** True when an interrupt or an abort cut the utterance short. */
  interrupted: Schema.optionalKey(Schema.Literal(true))
}).pipe(Schema.encodeKeys({ audioMs: "audio_ms" })).annotate({
  description: "Answers a flush, once, behind the last audio of its utterance."
})

export const Interrupted = Schema.Struct({
  type: Schema.Literal("interrupted"),
  /** Counts the interrupts of the session; text that follows belongs to this epoch. */
  epoch: Schema.Natural,
  /** Of the utterance that was being heard, and whatever came after it. */
  heardText: Schema.String,
  unheardText: Schema.String,
  /** Offset into all text sent, up to which it has been heard. */
  heardChars: Schema.Natural,
  /** `aligned`: by the engine's word times. */
  confidence: Schema.Literals(["aligned", "estimated"])
}).pipe(Schema.encodeKeys({ heardText: "heard_text", unheardText: "unheard_text", heardChars: "heard_chars" }))
  .annotate({
    description: "Answers an interrupt. Nothing from before it follows."
  })

export const Switched = Schema.Struct({
  type: Schema.Literal("switched"),
  from: Backend,
  to: Backend,
  atMs: Millis
}).pipe(Schema.encodeKeys({ atMs: "at_ms" })).annotate({ description: "Another backend speaks from here on." })

export const warnings = {
  NOTHING_TO_SPEAK: "The text holds nothing that can be spoken.",
  TEXT_REFUSED: "The engine cannot speak this part of the text; it is left out.",
  SESSION_EXPIRING: "The session has reached its length: what is buffered is spoken, then it closes.",
  CLOSING: "The session is closing and takes no more text."
} as const

export const Warning = Schema.Struct({
  type: Schema.Literal("warning"),
  code: Schema.Literals(Object.keys(warnings) as ReadonlyArray<keyof typeof warnings>),
  message: Schema.String
}).annotate({ description: "The session lives on." })

export const Closed = Schema.Struct({
  type: Schema.Literal("closed"),
  stats: Schema.Struct({
    /** Code points that were given to a backend. */
    chars: Schema.Natural,
    backendUsed: Backend,
    audioMs: Millis,
    segments: Schema.Natural,
    /** Interrupts. */
    interrupted: Schema.Natural
  }).pipe(Schema.encodeKeys({ backendUsed: "backend_used", audioMs: "audio_ms" }))
}).annotate({ description: "The last frame of a good end." })

export const ErrorFrame = Schema.Struct({
  type: Schema.Literal("error"),
  code: Schema.Literals(Object.keys(meanings) as ReadonlyArray<Code>),
  message: Schema.String,
  retryable: Schema.Boolean,
  /** Seconds. */
  retryAfter: Schema.optionalKey(Schema.Number),
  details: Schema.optionalKey(Schema.Array(Detail))
}).pipe(Schema.encodeKeys({ retryAfter: "retry_after" })).annotate({ description: "The session is over." })

export const serverFrames = [
  Ready,
  SegmentFrame,
  Words,
  FlushDone,
  Interrupted,
  Switched,
  Warning,
  Closed,
  ErrorFrame
] as const
export const ServerFrame = Schema.Union(serverFrames)
export type ServerFrame = typeof ServerFrame.Type

export const errorFrame = (failure: Failure): typeof ErrorFrame.Type => ({ type: "error", ...show(failure) })

export const warning = (code: keyof typeof warnings, message: string = warnings[code]): typeof Warning.Type => ({
  type: "warning",
  code,
  message
})

/** With wire names, as JSON has it. */
export const encodeServerFrame = Schema.encodeSync(ServerFrame)
