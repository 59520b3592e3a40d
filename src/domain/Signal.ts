/** What processes of the service tell each other: a closed list of topics, each with what its messages say. */
import { Schema } from "effect"
import { JobId, TenantId, VoiceId } from "./Ids.ts"

export const topics = {
  /** What is remembered of these voices is out of date. */
  "voices.changed": Schema.Struct({ voiceIds: Schema.Array(VoiceId) }),
  /** The voice must not speak any more: what runs in it ends. `reason` is shown to its callers. */
  "voice.stopped": Schema.Struct({ voiceId: VoiceId, reason: Schema.String }),
  /** The clips of these recordings, by SHA-256, are to be kept nowhere any more. */
  "clips.erased": Schema.Struct({ sha256s: Schema.Array(Schema.String) }),
  /** What is remembered of the tenant's policy is out of date. */
  "policy.changed": Schema.Struct({ tenantId: TenantId }),
  /** Some key was made or revoked: what is remembered of any key may be out of date. */
  "keys.changed": Schema.Struct({}),
  /** There is a job to run. */
  "jobs.queued": Schema.Struct({}),
  /** The job has moved; one that was canceled is not to be run on. */
  "job.changed": Schema.Struct({ jobId: JobId, canceled: Schema.Boolean })
}

export type Topic = keyof typeof topics
export const topicNames = Object.keys(topics) as ReadonlyArray<Topic>

export type Payload<T extends Topic> = (typeof topics)[T]["Type"]

/**
 * `Resync`: messages may have been missed before it, so whatever a subscriber remembers because nobody told otherwise has
 * to be asked for again.
 */
export type Signal<T extends Topic> =
  | { readonly _tag: "Message"; readonly payload: Payload<T> }
  | { readonly _tag: "Resync" }
