/** What `save_to` asks of a finished job. A save that fails leaves the job completed, its file kept, and says why. */
import { Effect } from "effect"
import type { Saved } from "../../domain/Job.ts"
import { DriveSink } from "../../services/DriveSink.ts"
import type { Run } from "../../services/JobRuns.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import type { ObjectFacts } from "../../services/ObjectStore.ts"

export const save = Effect.fnUntraced(function*(
  run: Run,
  key: string,
  { contentType, size }: ObjectFacts
): Effect.fn.Return<Saved | null, never, DriveSink | ObjectStore> {
  const { caller: { tenantId, userId }, speak: { saveTo } } = run.request
  if (saveTo === undefined) return null
  const sink = yield* DriveSink
  const objects = yield* ObjectStore
  const saving = Effect.gen(function*() {
    const { body } = yield* objects.get(key)
    const defaultName = `${run.jobId}${key.slice(key.lastIndexOf("."))}`
    return yield* sink.save({ jobId: run.jobId, tenantId, userId, saveTo, defaultName, contentType, size, body })
  }).pipe(Effect.scoped)
  const base = { share_id: saveTo.shareId, file_id: null, name: null, reason: null }
  return yield* Effect.match(saving, {
    onSuccess: ({ fileId, name }): Saved => ({ ...base, status: "saved", file_id: fileId, name }),
    onFailure: (failure): Saved => ({
      ...base,
      status: "failed",
      reason: failure._tag === "SaveToFailed" ? failure.reason : "A store that this needs is away."
    })
  })
})
