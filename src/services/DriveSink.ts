/**
 * Where `save_to` sends finished audio: a file in the caller's ScaiDrive.
 *
 * Saving again what was saved before, under the same name and from the same job, must not make a second file.
 */
import { Context, Effect, Layer } from "effect"
import type { Scope, Stream } from "effect"
import { SaveToFailed } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { JobId, TenantId, UserId } from "../domain/Ids.ts"
import type { SpeakRequest } from "../domain/SpeakRequest.ts"

export interface DriveFile {
  /** The same for every attempt to save the same audio. */
  readonly jobId: JobId
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly saveTo: NonNullable<SpeakRequest["saveTo"]>
  /** Used when the caller gave none. */
  readonly defaultName: string
  readonly contentType: string
  /** Bytes of `body`. */
  readonly size: number
  /** To be run once, while the scope is open. */
  readonly body: Stream.Stream<Uint8Array, StorageUnavailable>
}

export interface DriveSaved {
  readonly fileId: string
  /** As it was named there, which `rename` may have changed. */
  readonly name: string
}

export class DriveSink extends Context.Service<DriveSink, {
  readonly save: (file: DriveFile) => Effect.Effect<DriveSaved, SaveToFailed | StorageUnavailable, Scope.Scope>
}>()("scaispeak/DriveSink") {
  /** No ScaiDrive is configured. */
  static readonly layerOff: Layer.Layer<DriveSink> = Layer.succeed(
    DriveSink,
    DriveSink.of({ save: () => Effect.fail(new SaveToFailed({ reason: "no ScaiDrive is configured here" })) })
  )
}
