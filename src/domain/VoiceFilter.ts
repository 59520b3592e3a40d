/** What a list of voices can be asked for, by its wire names, and how long a page is. The bounds of every surface. */
import { Schema } from "effect"
import { EmbeddingStatus, Gender, Language, VoiceKind, VoiceScope } from "./Voice.ts"

export const pageMax = 200
export const pageDefault = 50

export const voiceFilterFields = {
  language: Schema.optionalKey(Language),
  scope: Schema.optionalKey(VoiceScope),
  gender: Schema.optionalKey(Gender),
  embedding_status: Schema.optionalKey(EmbeddingStatus),
  kind: Schema.optionalKey(VoiceKind),
  q: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)))
}

/** Opaque to clients. */
export const Cursor = Schema.String.check(Schema.isMaxLength(1000))
