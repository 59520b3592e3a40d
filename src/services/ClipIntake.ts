/**
 * Clips from outside, examined before a voice is made of them: decoded, measured, held to the rules, and the reference
 * normalised. Uploads, and stored recordings that are taken in anew, pass here and nowhere else.
 *
 * Everything that is wrong with the clips is told at once. Nothing is stored.
 */
import { Context, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { AudioUndecodable, PreflightFailed } from "../domain/Failure.ts"
import type { Preflight as Verdict } from "../domain/Preflight.ts"
import { AudioDecoder } from "./AudioDecoder.ts"
import type { AudioFacts, DecodedClip } from "./AudioDecoder.ts"
import { wavHeader } from "./AudioEncoder/Wav.ts"
import type { ClipFile } from "./ClipFile.ts"
import { ClipNormaliser } from "./ClipNormaliser.ts"
import { clipRate } from "./ClipNormaliser/WavFile.ts"
import { Preflight } from "./Preflight.ts"

export interface Examined {
  /** What engines follow, as a WAV file: 16 kHz, mono, 16 bits. */
  readonly clip: Uint8Array
  /** Of `clip`, lower-case hex. */
  readonly sha256: string
  readonly durationMs: number
  /** Media types of the files as they came. */
  readonly contentTypes: { readonly reference: string; readonly consent: string | undefined }
}

export class ClipIntake extends Context.Service<ClipIntake, {
  /** Says what is measured of a reference, and refuses only what is no sound. */
  readonly measure: (reference: ClipFile) => Effect.Effect<Verdict, AudioUndecodable>
  /** `consent`: the spoken one, for a voice that needs it. */
  readonly examine: (
    reference: ClipFile,
    consent?: ClipFile
  ) => Effect.Effect<Examined, AudioUndecodable | PreflightFailed>
}>()("scaispeak/ClipIntake") {
  static readonly layer = Layer.effect(
    ClipIntake,
    Effect.gen(function*() {
      const decoder = yield* AudioDecoder
      const normaliser = yield* ClipNormaliser
      const preflight = yield* Preflight

      const normalised = (file: ClipFile, { sound }: DecodedClip) =>
        normaliser.normaliseSound(sound).pipe(
          Effect.mapError(({ reason }) => new AudioUndecodable({ field: file.field, reason }))
        )

      return ClipIntake.of({
        measure: (file) => Effect.flatMap(decoder.decode(file), preflight.reference),
        examine: Effect.fn("ClipIntake.examine")(function*(reference, consent) {
          const decoded = yield* decoder.decode(reference)
          const spoken = consent === undefined ? undefined : yield* decoder.decode(consent)
          const verdicts = [
            { file: reference, verdict: yield* preflight.reference(decoded) },
            ...(spoken === undefined ? [] : [{ file: consent!, verdict: yield* preflight.consent(spoken) }])
          ]
          const failed = verdicts.filter(({ verdict }) => !verdict.passed)
          if (failed[0] !== undefined) {
            return yield* new PreflightFailed({
              details: failed.flatMap(({ file: { field }, verdict }) =>
                verdict.fail_reasons.map((message) => ({ field, message }))
              ),
              preflight: failed[0].verdict
            })
          }
          const pcm = yield* normalised(reference, decoded)
          const clip = Buffer.concat([wavHeader(clipRate, pcm.length), pcm])
          return {
            clip,
            sha256: createHash("sha256").update(clip).digest("hex"),
            durationMs: decoded.facts.durationMs,
            contentTypes: { reference: contentTypeOf(decoded.facts), consent: spoken && contentTypeOf(spoken.facts) }
          }
        })
      })
    })
  )
}

const contentTypes: Record<AudioFacts["container"], string> = {
  wav: "audio/wav",
  mp3: "audio/mpeg",
  flac: "audio/flac",
  ogg: "audio/ogg",
  webm: "audio/webm",
  mp4: "audio/mp4",
  adts: "audio/aac"
}
const contentTypeOf = ({ container }: AudioFacts): string => contentTypes[container]
