/** The frames of a live session as the contract has them: what is taken, what is refused and by which field, what is sent. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { InvalidRequest, RateLimited } from "../../../src/domain/Failure.ts"
import { SessionId, VoiceId } from "../../../src/domain/Ids.ts"
import { parseClientFrame } from "../../../src/domain/stream/ClientFrame.ts"
import { closeCodeOf } from "../../../src/domain/stream/CloseCode.ts"
import { FrameRate } from "../../../src/domain/stream/FrameRate.ts"
import { encodeServerFrame, errorFrame } from "../../../src/domain/stream/ServerFrame.ts"
import type { ServerFrame } from "../../../src/domain/stream/ServerFrame.ts"

const open = { type: "open", voice_id: "vox_flite_awb" }

describe("client frames", () => {
  it.each([
    [open, { voiceId: "vox_flite_awb", output: { codec: "opus" }, backendPreference: "any", timestamps: "none" }],
    [
      { ...open, language_hint: "en", speed: 1.5, output: { codec: "pcm", sample_rate: 16000 }, seed: 1, cfg_value: 2 },
      {
        voiceId: "vox_flite_awb",
        languageHint: "en",
        speed: 1.5,
        output: { codec: "pcm", sampleRate: 16000 },
        seed: 1,
        cfgValue: 2,
        backendPreference: "any",
        timestamps: "none"
      }
    ],
    [{ type: "text", delta: "" }, { delta: "" }],
    [{ type: "text", delta: "\u{1f600}".repeat(8000) }, { delta: "\u{1f600}".repeat(8000) }],
    [{ type: "flush" }, {}],
    [{ type: "flush", id: "a", more: 1 }, { id: "a" }],
    [{ type: "interrupt", played_ms: 12.5 }, { playedMs: 12.5 }],
    [{ type: "close" }, { mode: "drain" }],
    [{ type: "close", mode: "abort" }, { mode: "abort" }],
    [{ type: "played", ms: 0 }, { ms: 0 }]
  ])("%j", (frame, fields) => {
    const result = parseClientFrame(JSON.stringify(frame))
    assert.ok(result._tag === "Success", String(result))
    assert.deepEqual(result.success, { type: frame.type, ...fields })
  })

  it.each([
    ["{", ["frame"]],
    ["[]", ["type"]],
    [`{"type":"speak"}`, ["type"]],
    [`{"type":"open"}`, ["voice_id"]],
    [`{"type":"open","voice_id":"x","speed":3,"timestamps":"all"}`, ["voice_id", "speed", "timestamps"]],
    [`{"type":"open","voice_id":"vox_ab","output":{"codec":"mp3"}}`, ["output.codec"]],
    [`{"type":"open","voice_id":"vox_ab","output":{"codec":"opus","sample_rate":16000}}`, ["output.sample_rate"]],
    [`{"type":"open","voice_id":"vox_ab","output":{"codec":"mulaw","sample_rate":16000}}`, ["output.sample_rate"]],
    [`{"type":"open","voice_id":"vox_ab","resume":{"session_id":"ses_ab","token":"t","last_seq":-1}}`, [
      "resume.last_seq"
    ]],
    [`{"type":"text"}`, ["delta"]],
    [`{"type":"text","delta":"${"a".repeat(8001)}"}`, ["delta"]],
    [`{"type":"interrupt","played_ms":-1}`, ["played_ms"]],
    [`{"type":"close","mode":"now"}`, ["mode"]]
  ])("%s is refused", (text, fields) => {
    const result = parseClientFrame(text)
    assert.ok(result._tag === "Failure")
    assert.deepEqual(result.failure.details.map(({ field }) => field), fields)
  })

  it("are counted in any second", () => {
    const rate = new FrameRate()
    assert.deepEqual(Array.from({ length: 21 }, (_, i) => rate.isOver(i * 10)).indexOf(true), 20)
    assert.equal(rate.isOver(2000), false)
  })
})

describe("server frames", () => {
  it.each<[ServerFrame, object]>([
    [
      {
        type: "ready",
        voiceId: VoiceId.make("vox_ab"),
        backendUsed: "A",
        sessionId: SessionId.make("ses_ab"),
        output: { codec: "opus", sampleRate: 48000, frameMs: 20, channels: 1 },
        limits: {
          textBufferCodePoints: 1,
          frameBytes: 2,
          controlFramesPerSecond: 3,
          idleMs: 4,
          sessionMs: 5,
          unsentAudioMs: 6,
          leadMs: 7,
          writeMs: 8,
          resumeMs: 9
        },
        resumeToken: "t"
      },
      {
        voice_id: "vox_ab",
        backend_used: "A",
        session_id: "ses_ab",
        output: { codec: "opus", sample_rate: 48000, frame_ms: 20, channels: 1 },
        limits: {
          text_buffer_code_points: 1,
          frame_bytes: 2,
          control_frames_per_second: 3,
          idle_ms: 4,
          session_ms: 5,
          unsent_audio_ms: 6,
          lead_ms: 7,
          write_ms: 8,
          resume_ms: 9
        },
        resume_token: "t"
      }
    ],
    [
      { type: "segment", utterance: 1, segment: 2, text: "Hi.", startMs: 3, chars: [0, 3] },
      { utterance: 1, segment: 2, text: "Hi.", start_ms: 3, chars: [0, 3] }
    ],
    [
      {
        type: "words",
        segment: 1,
        words: [{ text: "Hi", startMs: 0, endMs: 1, chars: [0, 2], source: "native" }]
      },
      { segment: 1, words: [{ text: "Hi", start_ms: 0, end_ms: 1, chars: [0, 2], source: "native" }] }
    ],
    [{ type: "flush_done", id: "a", audioMs: 1, characters: 2 }, { id: "a", audio_ms: 1, characters: 2 }],
    [
      { type: "interrupted", epoch: 1, heardText: "a", unheardText: "b", heardChars: 1, confidence: "aligned" },
      { epoch: 1, heard_text: "a", unheard_text: "b", heard_chars: 1, confidence: "aligned" }
    ],
    [{ type: "switched", from: "A", to: "B", atMs: 1 }, { from: "A", to: "B", at_ms: 1 }],
    [
      { type: "closed", stats: { chars: 1, backendUsed: "B", audioMs: 2, segments: 3, interrupted: 4 } },
      { stats: { chars: 1, backend_used: "B", audio_ms: 2, segments: 3, interrupted: 4 } }
    ],
    [
      errorFrame(new RateLimited({ limit: 20, retryAfter: 1 })),
      { code: "RATE_LIMITED", message: "Too many requests.", retryable: true, retry_after: 1 }
    ],
    [
      errorFrame(InvalidRequest.field("delta", "is too long")),
      {
        code: "VALIDATION_ERROR",
        message: "The request is not valid.",
        retryable: false,
        details: [{ field: "delta", message: "is too long" }]
      }
    ]
  ])("%j", (frame, fields) => {
    assert.deepEqual(encodeServerFrame(frame), { type: frame.type, ...fields })
  })

  it.each(
    [
      ["VALIDATION_ERROR", 4400],
      ["AUTH_TOKEN_INVALID", 4401],
      ["AUTHZ_PERMISSION_DENIED", 4403],
      ["SCAISPEAK_VOICE_NOT_FOUND", 4404],
      ["SCAISPEAK_SESSION_NOT_FOUND", 4404],
      ["SCAISPEAK_SESSION_TIMEOUT", 4408],
      ["SCAISPEAK_CLIENT_TOO_SLOW", 4408],
      ["SCAISPEAK_VOICE_NOT_READY", 4409],
      ["CONCURRENCY_LIMITED", 4429],
      ["RATE_LIMITED", 4429],
      ["SCAISPEAK_BACKEND_TIMEOUT", 4502],
      ["SCAISPEAK_BACKEND_SATURATED", 4502],
      ["PAYLOAD_TOO_LARGE", 1009],
      ["INTERNAL_ERROR", 1011],
      ["SCAISPEAK_SHUTTING_DOWN", 1012]
    ] as const
  )("%s closes with %d", (code, closeCode) => {
    assert.equal(closeCodeOf(code), closeCode)
  })
})
