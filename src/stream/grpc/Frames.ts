/** Messages of the wire ↔ frames of the domain. What a client says passes through the decoder that JSON passes through. */
import type { Result } from "effect"
import type { InvalidRequest } from "../../domain/Failure.ts"
import { decodeClientFrame } from "../../domain/stream/ClientFrame.ts"
import type { ClientFrame } from "../../domain/stream/ClientFrame.ts"
import type { ServerFrame } from "../../domain/stream/ServerFrame.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { literalOf, numberOf, snaked } from "./Enums.ts"

export const clientFrameOf = ({ frame }: wire.ClientFrame): Result.Result<ClientFrame, InvalidRequest> =>
  decodeClientFrame(frame === undefined ? {} : { type: frame.$case, ...fieldsOf(frame) })

const fieldsOf = (frame: NonNullable<wire.ClientFrame["frame"]>): Record<string, unknown> => {
  switch (frame.$case) {
    case "open": {
      const { backendPreference, output, resume, timestamps, ...rest } = frame.value
      return snaked({
        ...rest,
        output: output && snaked({ ...output, codec: literalOf(wire.StreamCodec, output.codec) }),
        resume: resume && snaked(resume),
        backendPreference: literalOf(wire.BackendPreference, backendPreference),
        timestamps: literalOf(wire.Timestamps, timestamps)
      })
    }
    case "close":
      return snaked({ mode: literalOf(wire.CloseMode, frame.value.mode) })
    default:
      return snaked(frame.value)
  }
}

const range = ([from, to]: readonly [number, number]): wire.Range => ({ from, to })
const backend = (name: string) => numberOf(wire.Backend, name)
const source = (name: string) => numberOf(wire.WordSource, name)

export const serverFrameOf = (frame: ServerFrame): wire.ServerFrame => ({ frame: messageOf(frame) })

const messageOf = (frame: ServerFrame): NonNullable<wire.ServerFrame["frame"]> => {
  switch (frame.type) {
    case "ready": {
      const { backendUsed, limits, output, resumeToken, sessionId, voiceId } = frame
      return {
        $case: "ready",
        value: {
          voiceId,
          backendUsed: backend(backendUsed),
          sessionId,
          output: {
            codec: numberOf(wire.StreamCodec, output.codec),
            sampleRate: output.sampleRate,
            frameMs: output.frameMs ?? undefined,
            channels: output.channels
          },
          limits,
          resumeToken
        }
      }
    }
    case "segment":
      return { $case: "segment", value: { ...frame, chars: range(frame.chars) } }
    case "words": {
      const words = frame.words.map((word) => ({ ...word, chars: range(word.chars), source: source(word.source) }))
      return { $case: "words", value: { segment: frame.segment, words } }
    }
    case "flush_done":
      return { $case: "flushDone", value: { id: undefined, interrupted: undefined, ...frame } }
    case "interrupted":
      return { $case: "interrupted", value: { ...frame, confidence: numberOf(wire.Confidence, frame.confidence) } }
    case "switched":
      return { $case: "switched", value: { from: backend(frame.from), to: backend(frame.to), atMs: frame.atMs } }
    case "warning":
      return { $case: "warning", value: { code: frame.code, message: frame.message } }
    case "closed": {
      const { backendUsed, ...stats } = frame.stats
      return { $case: "closed", value: { stats: { ...stats, backendUsed: backend(backendUsed) } } }
    }
    case "error": {
      const { code, details, message, retryable, retryAfter } = frame
      return { $case: "error", value: { code, message, retryable, retryAfter, details: [...details ?? []] } }
    }
  }
}
