/** What an answer's `Retry-After` asks for: seconds, or an HTTP date (RFC 9110 §10.2.3). */

/** Milliseconds from `nowMillis`, never negative; undefined where it says nothing that can be read. */
export const retryAfterMillis = (header: string | undefined, nowMillis: number): number | undefined => {
  const value = header?.trim() ?? ""
  // Other texts than HTTP's dates, which begin with a day's name, would be read as dates, too.
  const date = /^[a-z]{3}/iu.test(value) ? Date.parse(value) : NaN
  const millis = /^\d+(?:\.\d+)?$/u.test(value) ? Number(value) * 1000 : date - nowMillis
  return Number.isNaN(millis) ? undefined : Math.max(0, Math.ceil(millis))
}
