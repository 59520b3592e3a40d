/**
 * The parts of a multipart request: files into a folder of their own, fields into memory, both within bounds.
 *
 * Promises: nothing beyond a limit is read or written; a file is gone when the scope of its request closes, however that
 * ends. The names and types that a client gives its files are ignored: a file is called by a number and told by its content.
 */
import { Context, Effect, Layer, type Scope, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse, Multipart } from "effect/http"
import { ConcurrencyLimited, InvalidRequest, PayloadTooLarge } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { ClipFile } from "../services/ClipFile.ts"
import { ClipFiles } from "../services/ClipFiles.ts"

export interface Received {
  readonly files: Readonly<Record<string, ClipFile>>
  readonly fields: Readonly<Record<string, string>>
}

export type UploadFailure = InvalidRequest | PayloadTooLarge | ConcurrencyLimited | StorageUnavailable

/** Names of the parts that a request may have, each once. */
export interface Expected {
  readonly files: ReadonlyArray<string>
  readonly fields?: ReadonlyArray<string>
}

export interface UploadOptions {
  /** Of one file. */
  readonly limitBytes: number
  /** From the first byte of the body to its last. */
  readonly timeoutMs: number
}

/** More than any form of ours has. */
const partsMax = 20
/** The longest field is a text of consent. */
const fieldBytesMax = 64 * 1024
/** Headers of parts, and everything around them. */
const overheadBytes = 256 * 1024
/** At once, in this process: each may fill a file on disk. */
const uploadsMax = 32
export class Uploads extends Context.Service<Uploads, {
  /** Fails as soon as it can be told that the request does not fit; see {@link endRefused}. */
  readonly receive: (
    parts: Stream.Stream<Multipart.Part, Multipart.MultipartError>,
    expected: Expected
  ) => Effect.Effect<Received, UploadFailure, Scope.Scope | HttpServerRequest.HttpServerRequest>
}>()("scaispeak/http/Uploads") {
  static readonly layer = (options: UploadOptions) => Layer.effect(Uploads, make(options))
}

/** Behind `Envelope.answerFailures`: a refusal ends its connection, so that what was not read of the body never is. */
export const endRefused = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.map(self, (answer) =>
    HttpServerResponse.isHttpServerResponse(answer) && answer.status >= 400
      ? HttpServerResponse.setHeader(answer, "connection", "close") as A
      : answer)

const make = Effect.fnUntraced(function*({ limitBytes, timeoutMs }: UploadOptions) {
  const clips = yield* ClipFiles
  let open = 0
  /** Held for as long as the files may lie there, so that they are bounded however long somebody works on them. */
  const slot = Effect.acquireRelease(
    Effect.suspend(() => {
      if (open >= uploadsMax) return new ConcurrencyLimited({ limit: uploadsMax })
      open++
      return Effect.void
    }),
    () =>
      Effect.sync(() => {
        open--
      })
  )

  const read = Effect.fnUntraced(function*(
    parts: Stream.Stream<Multipart.Part, Multipart.MultipartError>,
    { fields: fieldNames = [], files: fileNames }: Expected,
    reading: { field: string }
  ) {
    const files: Record<string, ClipFile> = {}
    const fields: Record<string, string> = {}
    yield* Stream.runForEach(parts, (part) =>
      Effect.gen(function*() {
        const name = part.key.slice(0, shownNameMax)
        if (Object.hasOwn(files, name) || Object.hasOwn(fields, name)) {
          return yield* InvalidRequest.field(name, "is there twice")
        }
        if (part._tag === "File") {
          if (!fileNames.includes(part.key)) return yield* unexpected(name, fieldNames, "must not be a file")
          reading.field = name
          files[name] = yield* clips.keep(name, part.content)
        } else {
          if (!fieldNames.includes(part.key)) return yield* unexpected(name, fileNames, "must be a file")
          fields[name] = part.value
        }
      }))
    return { files, fields }
  })

  return Uploads.of({
    receive: Effect.fn("Uploads.receive")(function*(parts, expected) {
      const request = yield* HttpServerRequest.HttpServerRequest
      const totalBytes = limitBytes * expected.files.length + overheadBytes
        + fieldBytesMax * (expected.fields?.length ?? 0)
      if (Number(request.headers["content-length"] ?? 0) > totalBytes) return yield* tooLarge("body", totalBytes)
      yield* slot
      const limits = Multipart.limitsServices({
        maxParts: partsMax,
        maxFieldSize: fieldBytesMax,
        // The parser counts a part's headers in.
        maxFileSize: limitBytes + headerBytes,
        maxTotalSize: totalBytes,
        fieldMimeTypes: []
      })
      /** The file that was begun last: the one that a limit of files cuts. */
      const reading = { field: "file" }
      return yield* read(Stream.provideContext(parts, limits), expected, reading).pipe(
        Effect.catchTag(
          "MultipartError",
          (error) => Effect.fail(refusalOf(error, reading.field, limitBytes, totalBytes))
        ),
        Effect.timeoutOrElse({
          duration: timeoutMs,
          orElse: () => Effect.fail(InvalidRequest.field("body", `took longer than ${timeoutMs} ms to arrive`))
        })
      )
    })
  })
})

/** Names of parts are a stranger's text. */
const shownNameMax = 100
/** What the parser takes as headers of a part. */
const headerBytes = 16 * 1024

const unexpected = (name: string, others: ReadonlyArray<string>, otherwise: string) =>
  InvalidRequest.field(name || "body", others.includes(name) ? otherwise : "no such field")

const tooLarge = (field: string, bytes: number) =>
  new PayloadTooLarge({ field, reason: `is larger than ${bytes} bytes` })

const refusalOf = (
  { reason }: Multipart.MultipartError,
  file: string,
  limitBytes: number,
  totalBytes: number
): UploadFailure => {
  switch (reason._tag) {
    case "FileTooLarge":
      return tooLarge(file, limitBytes)
    case "FieldTooLarge":
      return tooLarge("field", fieldBytesMax)
    case "BodyTooLarge":
      return tooLarge("body", totalBytes)
    case "TooManyParts":
      return new PayloadTooLarge({ field: "body", reason: `has more than ${partsMax} parts` })
    case "Parse":
      return InvalidRequest.field("body", "is no multipart form that can be read")
    case "InternalError":
      return InvalidRequest.field("body", "broke off")
  }
}
