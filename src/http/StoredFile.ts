/** An object of the store as a reply, whole or one range of it. What a stranger uploaded is never run by a browser. */
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import type { ObjectStore } from "../services/ObjectStore.ts"
import { byteRange, rangeHeaders } from "./ByteRange.ts"

/** Headers that a client asks for a part with. */
export interface RangeRequest {
  readonly range?: string | undefined
  readonly "if-range"?: string | undefined
}

export const storedFile = Effect.fnUntraced(function*(
  objects: ObjectStore["Service"],
  key: string,
  asked: RangeRequest,
  headers: Record<string, string> = {}
) {
  const facts = yield* objects.head(key)
  const range = byteRange(asked.range, asked["if-range"], facts)
  const { body } = yield* objects.get(key, range)
  return HttpServerResponse.stream(body, {
    status: range === undefined ? 200 : 206,
    contentType: facts.contentType,
    contentLength: range?.length ?? facts.size,
    headers: {
      ...rangeHeaders(range, facts),
      "cache-control": "private, no-store",
      "x-content-type-options": "nosniff",
      ...headers
    }
  })
})
