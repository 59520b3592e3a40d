/**
 * One range of bytes, as a `Range` header asks for it (RFC 9110 §14). A header that cannot be honoured is passed over,
 * which the RFC leaves to the server: the caller gets the whole.
 */
import type { ObjectFacts } from "../services/ObjectStore.ts"

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** `undefined`: the whole is to be sent. `ifRange`: the etag that the caller's first part had. */
export const byteRange = (
  range: string | undefined,
  ifRange: string | undefined,
  { etag, size }: ObjectFacts
): ByteRange | undefined => {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/u.exec(range ?? "") ?? []
  if (first === undefined || last === undefined || first + last === "") return undefined
  if (ifRange !== undefined && ifRange !== etag) return undefined
  const offset = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  return offset < end ? { offset, length: end - offset } : undefined
}

/** What goes with the answer, 206 or 200. */
export const rangeHeaders = (range: ByteRange | undefined, { etag, size }: ObjectFacts): Record<string, string> => ({
  "accept-ranges": "bytes",
  etag,
  ...(range === undefined
    ? {}
    : { "content-range": `bytes ${range.offset}-${range.offset + range.length - 1}/${size}` })
})
