/**
 * Clips that lie elsewhere, fetched as the caller: files of the configured ScaiDrive, and whatever a link leads to.
 *
 * Assumed of ScaiDrive, whose public interface takes a file's content from `GET /api/v1/files/{file_id}/content` with a
 * bearer token of its audience, and answers 401, 403 or 404 for what the bearer may not have. A link at ScaiDrive's own
 * origin is asked for with the same token; any other link, and every redirect away from ScaiDrive, without one and only at
 * public addresses.
 */
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { fileIdOf } from "../domain/DriveReference.ts"
import type { DriveReference } from "../domain/DriveReference.ts"
import { InvalidRequest, PayloadTooLarge, StorageUnavailable } from "../domain/Failure.ts"
import type { ClipFile } from "./ClipFile.ts"
import { ClipFiles } from "./ClipFiles.ts"
import { SafeHttp } from "./SafeHttp.ts"
import type { OutboundFailed, OutboundRequest } from "./SafeHttp.ts"
import { TokenExchange } from "./TokenExchange.ts"
import type { TokenBearer } from "./TokenExchange.ts"

export interface DriveClipsOptions {
  /** Of ScaiDrive, without a slash at its end. */
  readonly url: string | undefined
  /** Of one clip. */
  readonly limitBytes: number
  readonly timeoutMs: number
}

export type DriveClipFailure = InvalidRequest | PayloadTooLarge | StorageUnavailable

export class DriveClips extends Context.Service<DriveClips, {
  /** The clip lies there for as long as the scope is open. `field`: what of the request names it. */
  readonly fetch: (
    caller: TokenBearer,
    field: string,
    reference: DriveReference
  ) => Effect.Effect<ClipFile, DriveClipFailure, Scope.Scope>
}>()("scaispeak/DriveClips") {
  static readonly layer = (options: DriveClipsOptions) => Layer.effect(DriveClips, make(options))
}

const make = Effect.fnUntraced(function*({ limitBytes, timeoutMs, url: drive }: DriveClipsOptions) {
  const http = yield* SafeHttp
  const tokens = yield* TokenExchange
  const files = yield* ClipFiles
  const bounds = { bytesMax: limitBytes, timeoutMs }

  const requestOf = Effect.fnUntraced(function*(caller: TokenBearer, field: string, reference: DriveReference) {
    const fileId = fileIdOf(reference)
    const link = reference.share_url ?? ""
    const atDrive = fileId !== undefined || (drive !== undefined && isAt(link, drive))
    // A link without a user behind it is a stranger's link, wherever it leads.
    if (!atDrive || (fileId === undefined && caller.user.credential.kind !== "jwt")) {
      return { url: link, ...bounds } satisfies OutboundRequest
    }
    if (drive === undefined) return yield* InvalidRequest.field(field, "this server has no ScaiDrive")
    const token = yield* tokens.exchange(caller, field)
    return {
      url: fileId === undefined ? link : `${drive}/api/v1/files/${fileId}/content`,
      ours: true,
      headers: { authorization: `Bearer ${Redacted.value(token)}` },
      ...bounds
    } satisfies OutboundRequest
  })

  const fetch = Effect.fn("DriveClips.fetch")(
    function*(caller: TokenBearer, field: string, reference: DriveReference) {
      const request = yield* requestOf(caller, field, reference)
      const failed = failureOf(field, request)
      const clip = Effect.gen(function*() {
        const { body, status } = yield* http.request(request)
        if (status !== 200) return yield* unfit(field, status, request)
        return yield* files.keep(field, body)
      })
      return yield* Effect.catchTag(clip, "OutboundFailed", (failure) => Effect.fail(failed(failure)))
    }
  )

  return DriveClips.of({ fetch })
})

const isAt = (link: string, drive: string) => URL.canParse(link) && new URL(link).origin === new URL(drive).origin

/** What the caller named cannot be had; only a ScaiDrive that is broken is none of the caller's business. */
const unfit = (field: string, status: number, { ours }: OutboundRequest) =>
  ours === true && (status >= 500 || status === 429)
    ? new StorageUnavailable({ store: "scaidrive", cause: `ScaiDrive answered ${status}` })
    : InvalidRequest.field(field, ours === true ? "is no file that you have in ScaiDrive" : "leads to no file")

const failureOf =
  (field: string, { bytesMax, ours }: OutboundRequest) => ({ kind, reason }: OutboundFailed): DriveClipFailure => {
    if (kind === "too large") return new PayloadTooLarge({ field, reason: `is larger than ${bytesMax} bytes` })
    if (ours === true && kind !== "refused") return new StorageUnavailable({ store: "scaidrive", cause: reason })
    return InvalidRequest.field(field, `has an address that ${reason}`)
  }
