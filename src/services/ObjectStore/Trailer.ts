/**
 * What the folder store keeps with an object: 512 bytes after the object's own, in the same file.
 *
 * One file makes one rename, so bytes and facts cannot part; and with the facts at the end, a clip in the folder plays.
 */
import { Schema } from "effect"
import { type FileHandle, open as openFile } from "node:fs/promises"
import type { ObjectFacts } from "../ObjectStore.ts"

export const trailerBytes = 512

const Facts = Schema.fromJsonString(Schema.Struct({
  scaispeakObject: Schema.Literal(1),
  size: Schema.Natural,
  contentType: Schema.String,
  etag: Schema.String
}))
const encodeFacts = Schema.encodeSync(Facts)
const decodeFacts = Schema.decodeUnknownSync(Facts)

/** Throws on a content type that is too long to be one. */
export const encode = (facts: ObjectFacts): Uint8Array => {
  const text = encodeFacts({ scaispeakObject: 1, ...facts })
  const bytes = Buffer.alloc(trailerBytes, " ")
  if (bytes.write(text) !== Buffer.byteLength(text)) throw new RangeError(`content type too long: ${facts.contentType}`)
  return bytes
}

/** Opens an object's file. Rejects when it is missing, or was not written by {@link encode}'s user. */
export const open = async (path: string): Promise<{ readonly handle: FileHandle; readonly facts: ObjectFacts }> => {
  const handle = await openFile(path, "r")
  try {
    const { size } = await handle.stat()
    const bytes = Buffer.alloc(trailerBytes)
    await handle.read(bytes, 0, trailerBytes, Math.max(0, size - trailerBytes))
    const { scaispeakObject: _, ...facts } = decodeFacts(bytes.toString())
    if (facts.size !== size - trailerBytes) throw new Error(`${path} has ${size} bytes`)
    return { handle, facts }
  } catch (cause) {
    await handle.close()
    throw cause
  }
}
