/** What a form of `POST /voices` asks for: one of two modes, with everything that is wrong with it told at once. */
import { Effect } from "effect"
import type { DriveReference } from "../domain/DriveReference.ts"
import { InvalidRequest } from "../domain/Failure.ts"
import type { Detail } from "../domain/Failure.ts"
import type { RecordingId } from "../domain/Ids.ts"
import type { RecordedPart } from "../domain/RecorderFrame.ts"
import type { VoiceClone, VoiceDesign } from "../domain/VoiceMetadata.ts"
import type { ClipSource } from "../services/ClipSources.ts"
import { CloneForm, DesignForm, metadataOf } from "./api/VoiceForms.ts"
import { decodeFields } from "./FormFields.ts"
import type { Received } from "./Uploads.ts"

export type NewVoiceRequest =
  | { readonly mode: "clone"; readonly given: VoiceClone; readonly clips: Record<RecordedPart, ClipSource> }
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

const clone = Effect.fnUntraced(function*(received: Received) {
  const form = yield* decodeFields(CloneForm, received.fields, [
    ...ways(received, "reference", "a recording of the voice, or else voice_design_prompt"),
    ...ways(received, "consent", "a recording of the speaker, who agrees")
  ])
  return {
    mode: "clone" as const,
    clips: {
      reference: sourceOf(received, "reference", form.reference_scaidrive_json, form.reference_recording_id),
      consent: sourceOf(received, "consent", form.consent_scaidrive_json, form.consent_recording_id)
    },
    given: {
      ...metadataOf(form),
      consentFullName: form.consent_user_full_name,
      consentStatedPurpose: form.consent_stated_purpose,
      consentText: form.consent_text,
      referenceText: form.reference_text
    }
  }
})

/** A clip comes in exactly one way. */
const ways = ({ fields, files }: Received, part: RecordedPart, what: string): ReadonlyArray<Detail> => {
  const given = [
    ...(files[part] === undefined ? [] : [part]),
    ...[`${part}_scaidrive_json`, `${part}_recording_id`].filter((name) => fields[name] !== undefined)
  ]
  if (given.length === 0) return [missing(part, what)]
  return given.slice(1).map((field) => ({ field, message: `is one clip too many beside ${given[0]}` }))
}

const sourceOf = (
  { files }: Received,
  part: RecordedPart,
  reference: DriveReference | undefined,
  recordingId: RecordingId | undefined
): ClipSource => {
  if (reference !== undefined) return { _tag: "Drive", field: `${part}_scaidrive_json`, reference }
  if (recordingId !== undefined) return { _tag: "Recorded", field: `${part}_recording_id`, recordingId }
  return { _tag: "Uploaded", clip: files[part]! }
}

const missing = (field: string, what: string): Detail => ({ field, message: `is missing: ${what}` })

/** What makes two requests the same: fields by their text and files by their hash, in whatever order they come. */
export const identityOf = ({ fields, files }: Received): ReadonlyArray<readonly [string, string]> =>
  [
    ...Object.entries(fields),
    ...Object.values(files).map(({ field, sha256 }) => [field, sha256] as const)
  ].sort(([one], [other]) => one < other ? -1 : 1)
