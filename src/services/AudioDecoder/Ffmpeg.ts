/**
 * AAC to sound by the machine's own ffmpeg: nothing in npm decodes it under a licence that we could ship.
 *
 * It is given frames of AAC by a pipe and nothing else: no file, no network, no container to parse and no choice of
 * format. It gets none of our environment, is killed at a deadline, and what it writes is bounded.
 */
import { spawnSync } from "node:child_process"
import { clipSecondsMax, type Sound, Undecodable } from "./Take.ts"
import { decodeWav } from "./Wav.ts"

/** Less than the thread's own limit, so that the process ends before its thread does. */
const deadlineMillis = 8000
/** The longest clip in two channels of 96 kHz, of 16 bits. */
const outputBytesMax = (clipSecondsMax + 1) * 96_000 * 2 * 2
/** Largest single block of memory that ffmpeg may ask for. */
const blockBytesMax = 64 * 2 ** 20

/** Where a program that is given by its name is looked for. */
const systemFolders = "/usr/local/bin:/usr/bin:/bin"

const fixedArguments = [
  "-hide_banner -nostdin -loglevel error",
  `-max_alloc ${blockBytesMax} -protocol_whitelist pipe -f aac -threads 1 -i pipe:0`,
  `-map 0:a:0 -map_metadata -1 -t ${clipSecondsMax + 1 / 4} -c:a pcm_s16le -f wav pipe:1`
].flatMap((line) => line.split(" "))

/** `adts`: AAC in ADTS. `ffmpeg`: name or path of the program. */
export const decodeAdts = (adts: Uint8Array, ffmpeg: string): Sound => {
  const { error, status, stdout } = spawnSync(ffmpeg, fixedArguments, {
    input: adts,
    cwd: "/",
    env: { PATH: systemFolders },
    stdio: ["pipe", "pipe", "ignore"],
    timeout: deadlineMillis,
    killSignal: "SIGKILL",
    maxBuffer: outputBytesMax
  })
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === "ENOENT" || code === "EACCES") {
    throw new Undecodable("is AAC, which needs ffmpeg, and this server has none: send WAV, MP3, FLAC or Opus")
  }
  if (code === "ETIMEDOUT") throw new Undecodable("is AAC that takes too long to decode")
  if (code === "ENOBUFS") throw new Undecodable("is AAC that decodes to too much")
  // A program that reads no further than it has to is no failure.
  if (error !== undefined && code !== "EPIPE") throw error
  if (stdout.length === 0 || (status !== 0 && stdout.length < 1024)) throw new Undecodable("is broken AAC")
  return decodeWav(stdout)
}
