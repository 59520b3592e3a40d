/** Whoever asked to be called at a job's end is to be called: written in the transaction that ends it. */
import { Effect } from "effect"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import type { JobQueue } from "../JobQueue.ts"
import type { AccountRow } from "./JobRow.ts"

/** Of a tenant's share, whatever the length of the text. */
const characters = 1

export const callBack = (
  queue: JobQueue["Service"],
  { callback_url, job_id: jobId, tenant_id: tenantId }: AccountRow
): Effect.Effect<void, StorageUnavailable> =>
  callback_url === null ? Effect.void : queue.offer("callbacks", { jobId, tenantId, characters })
