/** The voice that a path names, for the handler and for the audit row. */
import { Effect, Option, Schema } from "effect"
import { VoiceNotFound } from "../domain/Failure.ts"
import { VoiceId } from "../domain/Ids.ts"
import { Caller } from "./api/Caller.ts"

const decode = Schema.decodeUnknownOption(VoiceId)

/** An id of another shape names no voice either: it must not read differently from an invisible one. */
export const named = Effect.fnUntraced(function*(params: { readonly voice_id: string }) {
  const caller = yield* Caller
  caller.resourceId = params.voice_id
  const id = decode(params.voice_id)
  return Option.isNone(id) ? yield* new VoiceNotFound() : { id: id.value, user: caller.user }
})
