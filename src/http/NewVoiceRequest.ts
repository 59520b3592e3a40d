/** What a form of `POST /voices` asks for: one of two modes, with everything that is wrong with it told at once. */
import { Effect } from "effect"
import { InvalidRequest } from "../domain/Failure.ts"
import type { Detail } from "../domain/Failure.ts"
import type { VoiceClone, VoiceDesign } from "../domain/VoiceMetadata.ts"
import type { ClipFile } from "../services/ClipFile.ts"
import type { CloneClips } from "../services/VoiceIntake.ts"
import { CloneForm, DesignForm, metadataOf } from "./api/VoiceForms.ts"
import { decodeFields } from "./FormFields.ts"
import type { Received } from "./Uploads.ts"

export type NewVoiceRequest =
  | { readonly mode: "clone"; readonly given: VoiceClone; readonly clips: CloneClips }
  | { readonly mode: "design"; readonly given: VoiceDesign }

const files = ["reference", "consent"] as const
const designing = Object.keys(DesignForm.fields)
const cloning = Object.keys(CloneForm.fields)

/** The parts that the form may have. */
export const expected = { files, fields: [...new Set([...cloning, ...designing])] }

export const newVoiceRequest = (received: Received): Effect.Effect<NewVoiceRequest, InvalidRequest> =>
  "voice_design_prompt" in received.fields ? design(received) : clone(received)

const design = Effect.fnUntraced(function*({ fields, files }: Received) {
  const others = [...Object.keys(files), ...Object.keys(fields).filter((name) => !designing.includes(name))]
  if (others.length > 0) {
    return yield* new InvalidRequest({
      details: others.map((field) => ({ field, message: "does not go with voice_design_prompt: clone or design" }))
    })
  }
  const form = yield* decodeFields(DesignForm, fields)
  return { mode: "design" as const, given: { ...metadataOf(form), designPrompt: form.voice_design_prompt } }
})

/** The clip that the request gives as one of its parts; undefined when it gives none. */
const clipOf = ({ files }: Received, part: "reference" | "consent"): Effect.Effect<ClipFile | undefined> =>
  Effect.succeed(files[part])

const clone = Effect.fnUntraced(function*(received: Received) {
  const { fields } = received
  const reference = yield* clipOf(received, "reference")
  const consent = yield* clipOf(received, "consent")
  const form = yield* decodeFields(CloneForm, fields, [
    ...(reference === undefined ? [missing("reference", "a recording of the voice, or else voice_design_prompt")] : []),
    ...(consent === undefined ? [missing("consent", "a recording of the speaker, who agrees")] : [])
  ])
  return {
    mode: "clone" as const,
    clips: { reference: reference!, consent: consent! },
    given: {
      ...metadataOf(form),
      consentFullName: form.consent_user_full_name,
      consentStatedPurpose: form.consent_stated_purpose,
      consentText: form.consent_text,
      referenceText: form.reference_text
    }
  }
})

const missing = (field: string, what: string): Detail => ({ field, message: `is missing: ${what}` })

/** What makes two requests the same: fields by their text and files by their hash, in whatever order they come. */
export const identityOf = ({ fields, files }: Received): ReadonlyArray<readonly [string, string]> =>
  [
    ...Object.entries(fields),
    ...Object.values(files).map(({ field, sha256 }) => [field, sha256] as const)
  ].sort(([one], [other]) => one < other ? -1 : 1)
