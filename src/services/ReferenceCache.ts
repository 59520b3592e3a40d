/** The clips that cloned voices follow. */
import { Context } from "effect"
import type { Effect } from "effect"
import type { StorageUnavailable, VoiceNotReady } from "../domain/Failure.ts"
import type { VoiceReference } from "../domain/Voice.ts"

export class ReferenceCache extends Context.Service<ReferenceCache, {
  readonly get: (
    reference: VoiceReference
  ) => Effect.Effect<{ readonly pcm: Uint8Array; readonly sha256: string }, StorageUnavailable | VoiceNotReady>
}>()("scaispeak/ReferenceCache") {}
