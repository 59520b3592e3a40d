/** Where a clip of a request comes from, and how it gets to this machine's disk. */
import { Context, Effect, Layer, type Scope } from "effect"
import type { DriveReference } from "../domain/DriveReference.ts"
import type { RecordingId } from "../domain/Ids.ts"
import type { RecordedPart } from "../domain/RecorderFrame.ts"
import type { ClipFile } from "./ClipFile.ts"
import { DriveClips } from "./DriveClips.ts"
import type { DriveClipFailure } from "./DriveClips.ts"
import { Recordings } from "./Recordings.ts"
import type { TokenBearer } from "./TokenExchange.ts"

/** `field`: what of the request gives it. */
export type ClipSource =
  | { readonly _tag: "Uploaded"; readonly clip: ClipFile }
  | { readonly _tag: "Drive"; readonly field: string; readonly reference: DriveReference }
  | { readonly _tag: "Recorded"; readonly field: string; readonly recordingId: RecordingId }

export class ClipSources extends Context.Service<ClipSources, {
  /** The clip lies there for as long as the scope is open; a live recording is used up when it closes with success. */
  readonly open: (
    caller: TokenBearer,
    part: RecordedPart,
    source: ClipSource
  ) => Effect.Effect<ClipFile, DriveClipFailure, Scope.Scope>
}>()("scaispeak/ClipSources") {
  static readonly layer = Layer.effect(
    ClipSources,
    Effect.gen(function*() {
      const drive = yield* DriveClips
      const recordings = yield* Recordings
      return ClipSources.of({
        open: (caller, part, source) => {
          switch (source._tag) {
            case "Uploaded":
              return Effect.succeed(source.clip)
            case "Drive":
              return drive.fetch(caller, source.field, source.reference)
            case "Recorded":
              return recordings.take(caller.user, part, source.recordingId, source.field)
          }
        }
      })
    })
  )
}
