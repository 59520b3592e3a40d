/** What a setting may be: text as it stands in an environment, decoded, each kind with the words for what it expected. */
import { Schema, SchemaTransformation } from "effect"

export const wholeNumber = (minimum: number, maximum: number) =>
  Schema.String.check(
    Schema.makeFilter((text) =>
      /^\d+$/u.test(text) && Number(text) >= minimum && Number(text) <= maximum
        ? undefined
        : `a whole number from ${minimum} to ${maximum}`
    )
  ).pipe(Schema.decodeTo(Schema.Finite, SchemaTransformation.transform({ decode: Number, encode: String })))

export const decimal = (minimum: number, maximum: number) =>
  Schema.String.check(
    Schema.makeFilter((text) =>
      /^-?\d+(\.\d+)?$/u.test(text) && Number(text) >= minimum && Number(text) <= maximum
        ? undefined
        : `a number from ${minimum} to ${maximum}`
    )
  ).pipe(Schema.decodeTo(Schema.Finite, SchemaTransformation.transform({ decode: Number, encode: String })))

export const port = wholeNumber(0, 65535)

export const flag = Schema.Literals(["true", "false"]).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform({
      decode: (text) => text === "true",
      encode: (value) => (value ? "true" as const : "false" as const)
    })
  )
)

export const list = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Array(Schema.NonEmptyString),
    SchemaTransformation.transform({
      decode: (text): ReadonlyArray<string> => text.split(",").map((item) => item.trim()).filter((item) => item !== ""),
      encode: (items) => items.join(",")
    })
  )
)

export const url = (...protocols: ReadonlyArray<string>) =>
  Schema.String.check(
    Schema.makeFilter((text) =>
      URL.canParse(text) && protocols.includes(new URL(text).protocol)
        ? undefined
        : `a URL that starts with ${protocols.map((p) => `${p}//`).join(" or ")}`
    )
  )

export const address = Schema.String.check(Schema.isPattern(/^.+:\d{1,5}$/u, { expected: "host:port" }))

export const addresses = list.check(
  Schema.makeFilter((nodes) => nodes.every((n) => /^.+:\d{1,5}$/u.test(n)) ? undefined : "host:port,…")
)

export const secret = Schema.RedactedFromValue(Schema.NonEmptyString)

export const apiKey = Schema.RedactedFromValue(
  Schema.String.check(Schema.isPattern(/^sgk_[\w-]{32,}$/u, { expected: "sgk_ and at least 32 URL-safe characters" }))
)
