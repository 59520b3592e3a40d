/**
 * Clips from outside, examined before a voice is made of them: decoded, measured, held to the rules, and the reference
 * normalised. Uploads, and stored recordings that are taken in anew, pass here and nowhere else.
 *
 * Everything that is wrong with the clips is told at once. Nothing is stored.
 */
import { Context, Effect, Layer, Semaphore } from "effect"
import { createHash } from "node:crypto"
import type { ConsentAlignment } from "../domain/ConsentAlignment.ts"
import { AudioUndecodable, PreflightFailed } from "../domain/Failure.ts"
import type { InvalidRequest } from "../domain/Failure.ts"
import type { Preflight as Verdict } from "../domain/Preflight.ts"
import { AudioDecoder } from "./AudioDecoder.ts"
import type { AudioFacts } from "./AudioDecoder.ts"
import { wavHeader } from "./AudioEncoder/Wav.ts"
import type { ClipFile } from "./ClipFile.ts"
import { ClipNormaliser } from "./ClipNormaliser.ts"
import { clipRate } from "./ClipNormaliser/WavFile.ts"
import { ConsentAlignment as ConsentAligner } from "./ConsentAlignment.ts"
import { Preflight } from "./Preflight.ts"

/** One is decoded while another is measured: each has one thread. */
const clipsAtOnce = 2

export interface SpokenConsent {
  readonly file: ClipFile
  /** What it has to say, and in which language. */
  readonly text: string
  readonly language: string
}

export interface Examined {
  /** How well the spoken consent fits its text; null where nobody can say. */
  readonly alignment: ConsentAlignment | null
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
  /** The same of a spoken consent. */
  readonly measureConsent: (consent: ClipFile) => Effect.Effect<Verdict, AudioUndecodable>
  /** `consent`: the spoken one, for a voice that needs it. */
  readonly examine: (
    reference: ClipFile,
    consent?: SpokenConsent
  ) => Effect.Effect<Examined, AudioUndecodable | PreflightFailed | InvalidRequest>
}>()("scaispeak/ClipIntake") {
  static readonly layer = Layer.effect(
    ClipIntake,
    Effect.gen(function*() {
      const decoder = yield* AudioDecoder
      const normaliser = yield* ClipNormaliser
      const preflight = yield* Preflight
      const aligner = yield* ConsentAligner

      /** A clip's sound may take a hundred megabytes, and is let go with this effect. */
      const alone = Semaphore.makeUnsafe(clipsAtOnce).withPermits(1)

      const measure = (file: ClipFile) => alone(Effect.flatMap(decoder.decode(file), preflight.reference))

      const measureConsent = (file: ClipFile) => alone(Effect.flatMap(decoder.decode(file), preflight.consent))

      const reference = Effect.fnUntraced(function*(file: ClipFile) {
        const decoded = yield* decoder.decode(file)
        const verdict = yield* preflight.reference(decoded)
        const { facts, sound } = decoded
        const pcm = verdict.passed ? yield* normaliser.normaliseSound(sound) : undefined
        return { file, verdict, facts, pcm }
      }, alone)

      const consent = Effect.fnUntraced(function*({ file, language, text }: SpokenConsent) {
        const decoded = yield* decoder.decode(file)
        const verdict = yield* preflight.consent(decoded)
        const alignment = verdict.passed ? yield* aligner.check(decoded, text, language, file.field) : null
        return { file, verdict, alignment, facts: decoded.facts }
      }, alone)

      const examine = Effect.fn("ClipIntake.examine")(function*(referenceFile: ClipFile, given?: SpokenConsent) {
        const followed = yield* Effect.catchTag(
          reference(referenceFile),
          "ReferenceUnusable",
          ({ reason }) => Effect.fail(new AudioUndecodable({ field: referenceFile.field, reason }))
        )
        const spoken = given && (yield* consent(given))
        if (followed.pcm === undefined || spoken?.verdict.passed === false) {
          return yield* preflightFailed(spoken === undefined ? [followed] : [followed, spoken])
        }
        const clip = Buffer.concat([wavHeader(clipRate, followed.pcm.length), followed.pcm])
        return {
          alignment: spoken?.alignment ?? null,
          clip,
          sha256: createHash("sha256").update(clip).digest("hex"),
          durationMs: followed.facts.durationMs,
          contentTypes: { reference: contentTypeOf(followed.facts), consent: spoken && contentTypeOf(spoken.facts) }
        }
      })

      return ClipIntake.of({ measure, measureConsent, examine })
    })
  )
}

const preflightFailed = (clips: ReadonlyArray<{ readonly file: ClipFile; readonly verdict: Verdict }>) => {
  const failed = clips.filter(({ verdict }) => !verdict.passed)
  return new PreflightFailed({
    details: failed.flatMap(({ file: { field }, verdict }) =>
      verdict.fail_reasons.map((message) => ({ field, message }))
    ),
    preflight: failed[0]!.verdict
  })
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
