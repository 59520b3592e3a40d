/** `scaispeak.json` in a model's folder: what an operator says of the model where its files do not. */
import { Schema } from "effect"

const Speaker = Schema.Struct({
  name: Schema.NonEmptyString,
  display_name: Schema.optionalKey(Schema.NonEmptyString),
  description: Schema.optionalKey(Schema.String),
  languages: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
  gender: Schema.optionalKey(Schema.Literals(["female", "male", "neutral", "unspecified"])),
  style_tags: Schema.optionalKey(Schema.Array(Schema.NonEmptyString))
})

export const ModelNotes = Schema.Struct({
  /** Where the files fit more than one. */
  family: Schema.optionalKey(
    Schema.Literals(["vits", "matcha", "kokoro", "kitten", "supertonic", "zipvoice", "pocket"])
  ),
  /** The folder's name without it. */
  model: Schema.optionalKey(Schema.NonEmptyString),
  /** A fingerprint of the files without it. */
  version: Schema.optionalKey(Schema.NonEmptyString),
  /** ISO 639-1. */
  languages: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
  /** In the order of the model's speaker ids; names alone will do. */
  speakers: Schema.optionalKey(Schema.Array(Schema.Union([Schema.NonEmptyString, Speaker]))),
  /** Whether the same request gives the same samples. Most models draw noise, so that it is false without it. */
  deterministic: Schema.optionalKey(Schema.Boolean),
  /** What the model says to prove that it works. */
  probe: Schema.optionalKey(Schema.NonEmptyString)
})
export type ModelNotes = typeof ModelNotes.Type

/** A field that is not known is an error: a typo must not pass for a default. */
export const decodeNotes = Schema.decodeUnknownResult(Schema.fromJsonString(ModelNotes), {
  errors: "all",
  onExcessProperty: "error"
})
