/**
 * Packages that are no dependency, because of their licence, and that the tests run all the same: installed once into
 * `.cache/optional`.
 */
import { execFile } from "node:child_process"
import { access } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "../..")
const prefix = join(root, ".cache/optional")
const espeak = { name: "@echogarden/espeak-ng-emscripten", version: "0.3.5" }

/** The folder of the package. */
export const espeakFolder = join(prefix, "node_modules", espeak.name)

/** Returns when the package is there. */
export const ensureEspeak = async (): Promise<void> => {
  const manifest = join(espeakFolder, "package.json")
  if (await access(manifest).then(() => true, () => false)) return
  const wanted = `${espeak.name}@${espeak.version}`
  console.log(`Installing ${wanted} (GPL-3, for the tests only) into .cache/optional (npm, once)`)
  const quiet = ["--no-save", "--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund"]
  // In a folder of its own: npm would otherwise look for a project further up.
  await promisify(execFile)("npm", ["install", "--prefix", prefix, ...quiet, wanted], { cwd: root }).catch((cause) => {
    throw new Error(
      `The tests of the engine espeak need ${wanted}: npm install --prefix ${prefix} --no-save ${wanted}`,
      {
        cause
      }
    )
  })
}
