/** Asks the engine itself, without a node around it, and keeps all that is spoken. */
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import type { Engine } from "../../../src/engine/Engine.ts"
import type { SynthesisParams, SynthesizeRequest } from "../../../src/proto/scaiinfer/v1/audio.ts"
import { bytesOf, join16 } from "./clips.ts"

export const preset = (value: string): SynthesizeRequest["voice"] => ({ $case: "presetVoice", value })
export const described = (value: string): SynthesizeRequest["voice"] => ({ $case: "designPrompt", value })
export const like = (clip: Int16Array): SynthesizeRequest["voice"] => {
  const pcm = bytesOf(clip)
  const sha256 = createHash("sha256").update(pcm).digest("hex")
  return { $case: "reference", value: { pcm, transcript: "", sha256 } }
}

export const say = Effect.fnUntraced(function*(
  engine: Engine,
  voice: SynthesizeRequest["voice"],
  text: string,
  params?: SynthesisParams
) {
  const speech = yield* engine.speak({ requestId: "test", engine: "", text, language: "en", voice, params })
  const chunks = yield* Stream.runCollect(speech.audio)
  const samples = join16(chunks.map(({ pcm }) => new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length >> 1)))
  return { samples, words: chunks.flatMap(({ words }) => words), speech }
})
