/**
 * Which keys an object may have, alike in every store.
 *
 * Segments of letters, digits, `.`, `_` and `-`, joined by single slashes. No segment begins with a dot: that keeps out
 * `..`, and leaves such names to the folder store's own use. Keys that differ only in case are not to be made.
 */

const keyCharactersMax = 512
const segmentCharactersMax = 128
const segment = new RegExp(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,${segmentCharactersMax - 1}}$`, "u")

/** Throws, as a defect, on a key that this service would never make. */
export const checkKey = (key: string): string => {
  if (key.length > keyCharactersMax || !key.split("/").every((part) => segment.test(part))) {
    throw new TypeError(`not an object key: ${JSON.stringify(key.slice(0, 200))}`)
  }
  return key
}

/** A prefix is a folder: without its slash, `voices/vox_1` would also take `voices/vox_12`. */
export const checkPrefix = (prefix: string): string => {
  if (!prefix.endsWith("/")) throw new TypeError(`not an object prefix: ${JSON.stringify(prefix.slice(0, 200))}`)
  checkKey(prefix.slice(0, -1))
  return prefix
}
