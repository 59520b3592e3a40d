/** The stored recording that a voice names: read whole, and refused when it is another one. */
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { VoiceNotReady } from "../../domain/Failure.ts"
import type { VoiceReference } from "../../domain/Voice.ts"
import { ReferenceUnusable } from "../ClipNormaliser.ts"
import { recordingBytesMax } from "../ClipNormaliser/Normalise.ts"
import type { ObjectStore } from "../ObjectStore.ts"

/** Hashed chunk by chunk as it comes, so that a large one does not hold the event loop. */
export const readRecording = Effect.fnUntraced(function*(
  objects: ObjectStore["Service"],
  { objectKey, sha256 }: VoiceReference
) {
  const { body, size } = yield* Effect.catchTag(
    objects.get(objectKey),
    "ObjectNotFound",
    () => Effect.fail(clipNotReady("is missing"))
  )
  if (size > recordingBytesMax) {
    return yield* new ReferenceUnusable({ reason: `is larger than ${recordingBytesMax} bytes` })
  }
  const recording = new Uint8Array(size)
  const hash = createHash("sha256")
  let at = 0
  yield* Stream.runForEach(body, (chunk) =>
    Effect.sync(() => {
      hash.update(chunk)
      if (at < size) recording.set(chunk.subarray(0, size - at), at)
      at += chunk.length
    }))
  return hash.digest("hex") === sha256 ? recording : yield* clipNotReady("is not the one that was recorded")
}, Effect.scoped)

export const clipNotReady = (what: string): VoiceNotReady =>
  new VoiceNotReady({ reason: `The voice's reference clip ${what}.` })
