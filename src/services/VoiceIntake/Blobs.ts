/**
 * What the object store keeps of a voice, below `scaispeak/voices/{voice_id}/`: `original/`, the recording as it came;
 * `clips/{id}/`, normalised; `consent/`; `licence/{id}/`. What can be made anew has a folder of its own, so that the former
 * stays whole until nothing names it.
 */
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { StorageUnavailable } from "../../domain/Failure.ts"
import type { VoiceId } from "../../domain/Ids.ts"
import type { VoiceReference } from "../../domain/Voice.ts"
import type { ClipFile } from "../ClipFile.ts"
import type { Examined } from "../ClipIntake.ts"
import { blobOf } from "../PendingBlobs.ts"
import type { NewBlob } from "../PendingBlobs.ts"

export const voiceFolder = (voiceId: VoiceId): string => `scaispeak/voices/${voiceId}/`

/** The folder that an object stands in. */
export const folderOf = (objectKey: string): string => objectKey.slice(0, objectKey.lastIndexOf("/") + 1)

export const consentKey = (voiceId: VoiceId): string => `${voiceFolder(voiceId)}consent/recording`

/** A normalised clip, and what the voice's row says of it. */
export const clipOf = (
  voiceId: VoiceId,
  { clip, durationMs, sha256 }: Examined,
  transcript: string | null
): { readonly folder: string; readonly blob: NewBlob; readonly reference: VoiceReference } => {
  const folder = `${voiceFolder(voiceId)}clips/${randomUUID()}/`
  const objectKey = `${folder}clip.wav`
  return {
    folder,
    blob: { key: objectKey, contentType: "audio/wav", body: clip },
    reference: { sha256, durationMs, objectKey, transcript }
  }
}

/** A recording that came and the clip made of it. */
export const referenceOf = (
  voiceId: VoiceId,
  recording: ClipFile,
  examined: Examined,
  transcript: string | undefined
): { readonly blobs: ReadonlyArray<NewBlob>; readonly reference: VoiceReference } => {
  const { blob, reference } = clipOf(voiceId, examined, transcript?.trim() ?? null)
  const objectKey = `${voiceFolder(voiceId)}original/recording`
  return {
    blobs: [blobOf(recording, objectKey, examined.contentTypes.reference), blob],
    reference: { ...reference, original: { objectKey } }
  }
}

/** A signed licence. Only PDF is told from other files: it is handed out again and never looked into. */
export const documentOf = (voiceId: VoiceId, file: ClipFile): Effect.Effect<NewBlob, StorageUnavailable> =>
  Effect.map(
    Effect.tryPromise({
      try: async () => {
        const handle = await fs.open(file.path)
        try {
          const { buffer, bytesRead } = await handle.read(Buffer.alloc(5), 0, 5, 0)
          return buffer.toString("latin1", 0, bytesRead) === "%PDF-"
        } finally {
          await handle.close()
        }
      },
      catch: (cause) => new StorageUnavailable({ store: "objects", cause })
    }),
    (isPdf) =>
      blobOf(
        file,
        `${voiceFolder(voiceId)}licence/${randomUUID()}/document`,
        isPdf ? "application/pdf" : "application/octet-stream"
      )
  )
