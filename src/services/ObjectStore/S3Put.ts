/**
 * Writing to S3: one request for what fits into a part, a multipart upload for what does not.
 *
 * An upload that fails or is interrupted is aborted once its parts under way have settled, so it leaves no parts behind
 * that nobody sees and everybody pays for. (The SDK's own `Upload` returns from an abort before they have.)
 */
import type { S3Client } from "@aws-sdk/client-s3"
import { Effect, Exit, Scope, Stream } from "effect"
import { StorageUnavailable } from "../../domain/Failure.ts"
import type { ObjectFacts, ObjectStore } from "../ObjectStore.ts"
import { checkKey } from "./Keys.ts"

export type Sdk = typeof import("@aws-sdk/client-s3")

export const unavailable = (cause: unknown) => new StorageUnavailable({ store: "objects", cause })

/** S3 takes 10 000 parts of at least 5 MiB: objects up to 80 GB. Some stores want all parts alike. */
const partBytes = 8 * 1024 * 1024
/** With the part being filled, an upload holds at most three parts in memory. */
const partsAtOnce = 2

export const make = (sdk: Sdk, client: S3Client, bucket: string): ObjectStore["Service"]["put"] => {
  const request = <A>(send: (abortSignal: AbortSignal) => Promise<A>) =>
    Effect.tryPromise({ try: send, catch: unavailable })

  return Effect.fnUntraced(function*(key, body, { contentType }) {
    const name = { Bucket: bucket, Key: yield* Effect.sync(() => checkKey(key)) }
    const factsOf = (size: number, { ETag = "" }: { readonly ETag?: string | undefined }): ObjectFacts => ({
      size,
      contentType,
      etag: ETag
    })
    const putWhole = (bytes: Uint8Array) =>
      Effect.map(
        request((abortSignal) =>
          client.send(new sdk.PutObjectCommand({ ...name, ContentType: contentType, Body: bytes }), { abortSignal })
        ),
        (answer) => factsOf(bytes.length, answer)
      )
    if (body instanceof Uint8Array && body.length <= partBytes) return yield* putWhole(body)

    const scope = yield* Scope.Scope
    const begin = yield* Effect.cached(
      Effect.acquireRelease(
        Effect.map(
          request(() => client.send(new sdk.CreateMultipartUploadCommand({ ...name, ContentType: contentType }))),
          ({ UploadId }) => ({ ...name, UploadId: UploadId! })
        ),
        (upload, exit) =>
          Exit.isSuccess(exit)
            ? Effect.void
            : Effect.ignore(request(() => client.send(new sdk.AbortMultipartUploadCommand(upload))), { log: "Warn" })
      ).pipe(Scope.provide(scope))
    )
    const putPart = Effect.fnUntraced(function*(bytes: Uint8Array, index: number) {
      if (index === 0 && bytes.length < partBytes) return { whole: yield* putWhole(bytes) }
      const upload = yield* begin
      const { ETag, ChecksumCRC32 } = yield* request((abortSignal) =>
        client.send(new sdk.UploadPartCommand({ ...upload, PartNumber: index + 1, Body: bytes }), { abortSignal })
      )
      return { size: bytes.length, part: { PartNumber: index + 1, ETag, ChecksumCRC32 } }
    })
    const done = yield* partsOf(body instanceof Uint8Array ? Stream.succeed(body) : body).pipe(
      Stream.zipWithIndex,
      Stream.mapEffect(([bytes, index]) => putPart(bytes, index), { concurrency: partsAtOnce }),
      Stream.runCollect
    )
    const [first] = done
    if (first?.whole !== undefined) return first.whole
    const upload = yield* begin
    const Parts = done.map(({ part }) => part!)
    // An abort that crosses a completion would leave nobody knowing what is there.
    const answer = yield* Effect.uninterruptible(
      request(() => client.send(new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } })))
    )
    return factsOf(done.reduce((sum, { size = 0 }) => sum + size, 0), answer)
  }, Effect.scoped)
}

/** Bytes set aside for a body whose length nobody knows; doubled until they suffice, since most bodies are small. */
const firstBytes = 64 * 1024

interface Filling {
  bytes: Buffer
  size: number
  parts: number
}

/**
 * Copies a body into parts of `partBytes`: its chunks may be views that the next chunk overwrites. The last part may be
 * shorter; only an empty body makes an empty one.
 *
 * The end is an element of its own, because `onHalt` also runs when the body breaks: it would pass a torn body for whole.
 */
const partsOf = <E, R>(body: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.concat(body, Stream.succeed("end" as const)).pipe(
    Stream.mapAccum((): Filling => ({ bytes: Buffer.alloc(0), size: 0, parts: 0 }), (part, chunk) => {
      const full: Array<Uint8Array> = []
      const cut = () => {
        full.push(part.bytes.subarray(0, part.size))
        part.bytes = Buffer.alloc(0)
        part.size = 0
        part.parts++
      }
      if (chunk === "end") {
        if (part.size > 0 || part.parts === 0) cut()
        return [part, full]
      }
      for (let at = 0; at < chunk.length;) {
        const piece = chunk.subarray(at, at + partBytes - part.size)
        if (part.size + piece.length > part.bytes.length) part.bytes = grown(part, part.size + piece.length)
        part.bytes.set(piece, part.size)
        part.size += piece.length
        at += piece.length
        if (part.size === partBytes) cut()
      }
      return [part, full]
    })
  )

const grown = ({ bytes, size }: Filling, needed: number): Buffer => {
  let length = Math.max(firstBytes, bytes.length)
  while (length < needed) length *= 2
  const larger = Buffer.allocUnsafe(Math.min(length, partBytes))
  larger.set(bytes.subarray(0, size))
  return larger
}
