/**
 * Objects in a bucket of an S3-compatible store.
 *
 * Reading and removing are here; writing, with its multipart uploads, is in `S3Put.ts`.
 */
import type { GetObjectCommandOutput, S3Client, S3ServiceException } from "@aws-sdk/client-s3"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import type { Readable } from "node:stream"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import { ObjectNotFound, ObjectStore } from "../ObjectStore.ts"
import type { ObjectFacts, ObjectRange } from "../ObjectStore.ts"
import { checkKey, checkPrefix } from "./Keys.ts"
import * as S3Put from "./S3Put.ts"
import { unavailable } from "./S3Put.ts"

const healthMillisMax = 1000
const connectMillisMax = 1000
/** A socket on which nothing moves for so long is given up: in the middle of a body, the reader is told. */
const idleMillisMax = 15_000
/** Each body that is being read holds a socket. */
const socketsMax = 256

export interface S3Options {
  readonly endpoint: string
  /** Has to exist. */
  readonly bucket: string
  readonly region: string
  readonly accessKeyId: Redacted.Redacted
  readonly secretAccessKey: Redacted.Redacted
}

/** A bucket of any S3-compatible store, addressed path style. Building it does no I/O. */
export const layer = (options: S3Options): Layer.Layer<ObjectStore> =>
  Layer.effect(ObjectStore, Effect.suspend(() => make(options)))

/** The SDK is loaded here (35 MB, a tenth of a second), so that only a server with S3 pays for it. */
const load = Effect.promise((): Promise<S3Put.Sdk> => import("@aws-sdk/client-s3"))

const make = Effect.fnUntraced(function*({ bucket, ...options }: S3Options) {
  const sdk = yield* load
  const client = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new sdk.S3Client({
        endpoint: options.endpoint,
        region: options.region,
        forcePathStyle: true,
        credentials: {
          accessKeyId: Redacted.value(options.accessKeyId),
          secretAccessKey: Redacted.value(options.secretAccessKey)
        },
        requestHandler: {
          connectionTimeout: connectMillisMax,
          socketTimeout: idleMillisMax,
          httpAgent: { keepAlive: true, maxSockets: socketsMax },
          httpsAgent: { keepAlive: true, maxSockets: socketsMax }
        }
      })
    ),
    (client) => Effect.sync(() => client.destroy())
  )
  const named = (key: string) => Effect.sync(() => ({ Bucket: bucket, Key: checkKey(key) }))

  /** Fails with `ObjectNotFound` when the store says so, also for HEAD, whose answer has no body to name the error. */
  const request = <A>(key: string, send: (name: { Bucket: string; Key: string }, signal: AbortSignal) => Promise<A>) =>
    Effect.flatMap(named(key), (name) =>
      Effect.tryPromise({
        try: (signal) => send(name, signal),
        catch: (cause) =>
          ["NoSuchKey", "NotFound"].includes((cause as S3ServiceException).name)
            ? new ObjectNotFound({ key })
            : unavailable(cause)
      }))

  const head = (key: string) =>
    Effect.map(
      request(key, (name, abortSignal) => client.send(new sdk.HeadObjectCommand(name), { abortSignal })),
      (answer): ObjectFacts => ({ ...factsOf(answer), size: answer.ContentLength ?? 0 })
    )

  const nothingOf = (key: string) => Effect.map(head(key), (facts) => ({ ...facts, body: Stream.empty }))

  /** The scope destroys what is left of the body, and its socket with it. */
  const open = (key: string, range?: ObjectRange) =>
    Effect.acquireRelease(
      request(key, (name, abortSignal) =>
        client.send(new sdk.GetObjectCommand({ ...name, ...rangeHeader(range) }), { abortSignal })),
      ({ Body }) =>
        Effect.sync(() => (Body as Readable | undefined)?.destroy()),
      { interruptible: true }
    )

  return {
    put: S3Put.make(sdk, client, bucket),

    get: (key: string, range?: ObjectRange) =>
      range?.length === 0 ? nothingOf(key) : open(key, range).pipe(
        Effect.map((answer) => ({ ...factsOf(answer), size: sizeOf(answer), body: bytesOf(answer.Body as Readable) })),
        Effect.catchIf(isBeyondEnd, () => nothingOf(key))
      ),

    read: (key: string) =>
      Effect.scoped(
        Effect.flatMap(open(key), ({ Body }) =>
          Effect.tryPromise({
            try: () => Body!.transformToByteArray(),
            catch: unavailable
          }))
      ),

    head,

    remove: (key: string) =>
      Effect.flatMap(named(key), (name) =>
        Effect.asVoid(Effect.tryPromise({
          try: (abortSignal) => client.send(new sdk.DeleteObjectCommand(name), { abortSignal }),
          catch: unavailable
        }))),

    removeAll: (prefix: string) =>
      pages(sdk, client, bucket, prefix).pipe(
        Stream.mapEffect((page) => removePage(sdk, client, bucket, page.map(({ key }) => key))),
        Stream.runFold(() => 0, (sum, count) => sum + count)
      ),

    list: (prefix: string) => Stream.flattenIterable(pages(sdk, client, bucket, prefix)),

    health: Effect.tryPromise({
      try: (abortSignal) => client.send(new sdk.HeadBucketCommand({ Bucket: bucket }), { abortSignal }),
      catch: unavailable
    }).pipe(
      Effect.timeoutOrElse({
        duration: healthMillisMax,
        orElse: () => Effect.fail(unavailable(new Error(`no answer in ${healthMillisMax} ms`)))
      }),
      Effect.asVoid
    )
  } satisfies ObjectStore["Service"]
})

const factsOf = (answer: { readonly ContentType?: string | undefined; readonly ETag?: string | undefined }) => ({
  contentType: answer.ContentType ?? "application/octet-stream",
  etag: answer.ETag ?? ""
})

/** `Content-Range: bytes 0-9/1234` has the whole size; an answer without it is whole. */
const sizeOf = ({ ContentLength, ContentRange }: GetObjectCommandOutput): number =>
  ContentRange === undefined ? ContentLength ?? 0 : Number(ContentRange.slice(ContentRange.lastIndexOf("/") + 1))

const rangeHeader = (range?: ObjectRange) =>
  range === undefined ? {} : {
    Range: `bytes=${range.offset}-${range.length === undefined ? "" : range.offset + range.length - 1}`
  }

const isBeyondEnd = (failure: ObjectNotFound | StorageUnavailable): boolean =>
  failure._tag === "StorageUnavailable" && (failure.cause as S3ServiceException).name === "InvalidRange"

const bytesOf = (body: Readable): Stream.Stream<Uint8Array, StorageUnavailable> =>
  NodeStream.fromReadable({ evaluate: () => body, onError: unavailable, chunkSize: 1 })

interface Listed {
  readonly key: string
  readonly size: number
}

/** Pages of at most 1000 keys, as the store hands them out. */
const pages = (sdk: S3Put.Sdk, client: S3Client, bucket: string, prefix: string) =>
  Stream.unwrap(Effect.sync(() => {
    const scope = { Bucket: bucket, Prefix: checkPrefix(prefix) }
    return Stream.paginate(undefined as string | undefined, (token) =>
      Effect.tryPromise({
        try: async (abortSignal): Promise<readonly [ReadonlyArray<ReadonlyArray<Listed>>, Option.Option<string>]> => {
          const command = new sdk.ListObjectsV2Command(
            token === undefined ? scope : { ...scope, ContinuationToken: token }
          )
          const { Contents = [], NextContinuationToken } = await client.send(command, { abortSignal })
          const page = Contents.map(({ Key, Size }) => ({ key: Key!, size: Size ?? 0 }))
          return [page.length === 0 ? [] : [page], Option.fromNullishOr(NextContinuationToken)]
        },
        catch: unavailable
      }))
  }))

const removePage = (sdk: S3Put.Sdk, client: S3Client, bucket: string, keys: ReadonlyArray<string>) =>
  Effect.tryPromise({
    try: async (abortSignal) => {
      const { Errors: [refused] = [] } = await client.send(
        new sdk.DeleteObjectsCommand({
          Bucket: bucket,
          Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true }
        }),
        { abortSignal }
      )
      if (refused !== undefined) throw new Error(`${refused.Key} was not removed: ${refused.Code}`)
      return keys.length
    },
    catch: unavailable
  })
