/**
 * The decoding thread: takes the path of one file at a time and posts its sound, which stays where it is.
 *
 * What no decoder foresaw ends the thread: a decoder that has lost its way is not asked again.
 */
import { readFileSync } from "node:fs"
import { parentPort } from "node:worker_threads"
import { decode, type Decoded } from "./Decode.ts"
import { Undecodable } from "./Take.ts"

export interface DecodeJob {
  readonly path: string
  readonly ffmpeg: string
}

/** `undecodable` continues "The clip …". */
export type DecodeMade = Decoded | { readonly undecodable: string }

// What a library has to say about a stranger's file is nothing for our output.
for (const level of ["debug", "info", "log", "warn", "error"] as const) console[level] = () => {}

const answer = async ({ ffmpeg, path }: DecodeJob): Promise<DecodeMade> => {
  try {
    return await decode(readFileSync(path), ffmpeg)
  } catch (cause) {
    if (cause instanceof Undecodable) return { undecodable: cause.reason }
    throw cause
  }
}

parentPort!.on("message", (job: DecodeJob) => void answer(job).then((made) => parentPort!.postMessage({ made })))
