/** What the folder store does with folders: walking them, clearing them, and moving a finished file into one. */
import type { Dirent } from "node:fs"
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { trailerBytes } from "./Trailer.ts"

/** No such file, or another kind of thing where a file or folder was expected. */
export const isMissing = (cause: unknown): boolean =>
  ["ENOENT", "ENOTDIR", "EISDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")

/** The entries of a folder that are ours; none when it is missing. */
const entries = async (path: string): Promise<ReadonlyArray<Dirent>> => {
  try {
    return (await fs.readdir(path, { withFileTypes: true })).filter(({ name }) => !name.startsWith("."))
  } catch (cause) {
    if (isMissing(cause)) return []
    throw cause
  }
}

/** Every object below `folder`, both relative to `root`. Holds one folder's names at a time. */
export async function* walk(
  root: string,
  folder: string
): AsyncGenerator<{ readonly key: string; readonly size: number }> {
  for (const entry of await entries(join(root, folder))) {
    const key = `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* walk(root, key)
    else {
      // Removed since the folder was read: not an object any more.
      const stat = await fs.stat(join(root, key)).catch((cause) => isMissing(cause) ? undefined : Promise.reject(cause))
      if (stat !== undefined) yield { key, size: stat.size - trailerBytes }
    }
  }
}

/** Whether the folder went. One that is in use again stays. */
const removeIfEmpty = (path: string): Promise<boolean> => fs.rmdir(path).then(() => true, () => false)

/** Removes `folder` and what is below it, as far as it holds no files. */
export const removeEmptyFolders = async (folder: string): Promise<void> => {
  for (const entry of await entries(folder)) {
    if (entry.isDirectory()) await removeEmptyFolders(join(folder, entry.name))
  }
  await removeIfEmpty(folder)
}

/** Removes `folder` and the folders above it up to `root`, as far as they are empty. */
export const removeEmptyParents = async (root: string, folder: string): Promise<void> => {
  for (let path = folder; path !== root && await removeIfEmpty(path);) path = dirname(path)
}

/** Times that a file finds its folder removed under it before the move fails. */
const moveAttempts = 5

/** Moves a file to `path`, making the folder as often as a removal takes it away again; then syncs that folder. */
export const moveTo = async (draft: string, path: string): Promise<void> => {
  const folder = dirname(path)
  for (let left = moveAttempts; left > 0; left--) {
    await fs.mkdir(folder, { recursive: true })
    try {
      await fs.rename(draft, path)
      break
    } catch (cause) {
      if (left === 1 || !isMissing(cause)) throw cause
    }
  }
  const handle = await fs.open(folder, "r").catch((cause) => isMissing(cause) ? undefined : Promise.reject(cause))
  try {
    await handle?.sync()
  } finally {
    await handle?.close()
  }
}

/** Removes files of `folder` that were last written before `beforeMillis`. */
export const clearOlder = async (folder: string, beforeMillis: number): Promise<void> => {
  for (const name of await fs.readdir(folder)) {
    const path = join(folder, name)
    const { mtimeMs } = await fs.stat(path)
    if (mtimeMs < beforeMillis) await fs.rm(path, { force: true })
  }
}
