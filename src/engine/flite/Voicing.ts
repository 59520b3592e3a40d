/** Who speaks a request: a voice of the build as it is, or one of them bent to a clip or a description. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { InvalidRequest } from "../../domain/Failure.ts"
import type { SynthesizeRequest, VoiceReference } from "../../proto/scaiinfer/v1/audio.ts"
import type { EngineFailed } from "../Engine.ts"
import type { Fit } from "../fit/Fit.ts"
import { design } from "./Design.ts"
import type { Fits } from "./Fits.ts"
import type { FitMade, FittedVoice } from "./Fitting.ts"
import { sampleRate } from "./Piece.ts"
import { voices } from "./Voices.ts"

export interface Voicing {
  /** A voice inside the build. */
  readonly base: string
  /** Factor on samples. */
  readonly gain: number
  /** Of durations, at speed 1. */
  readonly stretch: number
  readonly fit?: Fit | undefined
}

/**
 * Refuses at once what cannot be anybody; what comes back waits for a voice to be fitted, and refuses a clip that turns
 * out to be no speech.
 */
export const of = (
  { params, voice }: SynthesizeRequest,
  fits: Fits
): Effect.Effect<Effect.Effect<Voicing, EngineFailed | InvalidRequest>, InvalidRequest> => {
  switch (voice?.$case) {
    case "presetVoice":
      return preset(voice.value)
    case "reference":
      return like(voice.value, fits)
    case "designPrompt":
      return described(voice.value, params?.seed ?? 0, fits)
    default:
      return Effect.fail(InvalidRequest.field("voice", "a preset voice, a reference or a design prompt is needed"))
  }
}

const preset = (name: string) => {
  const voice = voices.find((one) => one.name === name)
  return voice === undefined
    ? Effect.fail(
      InvalidRequest.field("voice", `no preset of that name; there are ${voices.map((v) => v.name).join(", ")}`)
    )
    : Effect.succeed(Effect.succeed<Voicing>({ base: name, gain: voice.gain, stretch: 1 }))
}

/** Shorter holds too little of a voice, whatever is in it; ms. */
const clipMillisMin = 2000

const like = ({ pcm }: VoiceReference, fits: Fits) => {
  const millis = Math.floor(pcm.length / 2 / (sampleRate / 1000))
  if (millis < clipMillisMin) {
    return Effect.fail(
      InvalidRequest.field("reference", `is ${millis} ms long; at least ${clipMillisMin} ms are needed`)
    )
  }
  // Named by its samples, whatever the caller says of them: a voice is given to nobody else.
  const key = createHash("sha256").update(pcm).digest("base64")
  return Effect.succeed(Effect.flatMap(fits.get(key, { clip: pcm }), settled))
}

const described = (prompt: string, seed: number, fits: Fits) =>
  prompt.trim() === ""
    ? Effect.fail(InvalidRequest.field("design_prompt", "must say something of the voice"))
    : Effect.succeed(
      Effect.suspend(() => fits.get(`${seed} ${prompt}`, { design: design(prompt, seed) })).pipe(
        Effect.flatMap(settled)
      )
    )

const settled = (made: FitMade): Effect.Effect<FittedVoice, InvalidRequest> =>
  "voice" in made ? Effect.succeed(made.voice) : Effect.fail(InvalidRequest.field("reference", made.refused))
