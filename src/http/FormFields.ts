/**
 * The fields of a multipart form that takes no files. The first file ends the reading: nothing of it is kept, and the rest
 * of the body is not read.
 */
import { Effect, Schema, Stream } from "effect"
import type { Multipart } from "effect/http"
import { InvalidRequest } from "../domain/Failure.ts"
import type { Detail } from "../domain/Failure.ts"
import { detailsOf } from "../domain/Issues.ts"

/**
 * Decodes the fields by name; each one that does not fit, is unknown or comes twice is named. A form that is cut short
 * or over its limits is answered by the envelope.
 */
export const formFields = Effect.fnUntraced(
  function*<S extends Schema.Constraint & { readonly DecodingServices: never }>(
    schema: S,
    parts: Stream.Stream<Multipart.Part, Multipart.MultipartError>
  ) {
    const fields: Record<string, string> = Object.create(null)
    yield* parts.pipe(
      Stream.runForEach((part) => {
        if (part._tag === "File") return InvalidRequest.field(part.key, "no file is taken here")
        if (part.key in fields) return InvalidRequest.field(part.key, "was given twice")
        fields[part.key] = part.value
        return Effect.void
      }),
      Effect.catchTag("MultipartError", Effect.die)
    )
    return yield* decodeFields(schema, fields)
  }
)

/** The same of fields that are there; `missing` are files that should be, told together with what is wrong with fields. */
export const decodeFields = <S extends Schema.Constraint & { readonly DecodingServices: never }>(
  schema: S,
  fields: Readonly<Record<string, string>>,
  missing: ReadonlyArray<Detail> = []
): Effect.Effect<S["Type"], InvalidRequest> =>
  Schema.decodeUnknownEffect(schema)({ ...fields }, { errors: "all", onExcessProperty: "error" }).pipe(
    Effect.mapError(({ issue }) => new InvalidRequest({ details: [...missing, ...detailsOf(issue, "body")] })),
    Effect.flatMap((form) =>
      missing.length === 0 ? Effect.succeed(form) : Effect.fail(new InvalidRequest({ details: missing }))
    )
  )
