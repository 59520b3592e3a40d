/**
 * Holds the arrows of this house: `main, Server, cli → http | stream | jobs | engine → services → domain`.
 *
 * `npm run arrows` reads every import in `src` (values, types, dynamic imports, worker files) and names each file that
 * points the wrong way, each circle, and each package that is not a production dependency.
 */
import { builtinModules } from "node:module"
import { join, posix } from "node:path"
import { pathToFileURL } from "node:url"

/** A room, and what its files may import besides each other. `outside` names the packages; without it all are allowed. */
interface Room {
  readonly files: RegExp
  readonly imports: ReadonlyArray<string>
  readonly outside?: RegExp
}

const rooms: Record<string, Room> = {
  domain: { files: /^src\/domain\//, imports: [], outside: /^effect(\/|$)/ },
  proto: { files: /^src\/proto\//, imports: [] },
  config: { files: /^src\/Config(\.ts$|\/)/, imports: ["domain"] },
  services: { files: /^src\/services\//, imports: ["config", "proto", "domain"] },
  engine: { files: /^src\/engine\//, imports: ["services", "config", "proto", "domain"] },
  console: { files: /^src\/console\//, imports: [] },
  http: { files: /^src\/http\//, imports: ["console", "services", "config", "proto", "domain"] },
  stream: { files: /^src\/stream\//, imports: ["services", "config", "proto", "domain"] },
  jobs: { files: /^src\/jobs\//, imports: ["services", "config", "proto", "domain"] },
  root: {
    files: /^src\/(cli\/|[A-Z]\w+\.ts$|main\.ts$)/,
    imports: ["http", "stream", "jobs", "engine", "services", "config", "proto", "domain"]
  }
}

/** One line for each broken rule, in the order of the files. `sources` maps `src/…` paths to their text. */
export const check = (
  sources: ReadonlyMap<string, string>,
  dependencies: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const graph = new Map([...sources].sort().map(([file, text]) => [file, importsOf(file, text)]))
  const lines: Array<string> = []
  for (const [file, targets] of graph) {
    const from = roomOf(file)
    if (from === undefined) lines.push(`${file} is in no room`)
    else for (const { target } of targets) lines.push(...wrong(file, from, target, dependencies))
  }
  return [...lines, ...circles(graph)]
}

const roomOf = (file: string) => Object.keys(rooms).find((name) => rooms[name]?.files.test(file))

const wrong = (
  file: string,
  from: string,
  target: string,
  dependencies: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const { imports = [], outside } = rooms[from] ?? {}
  if (isFile(target)) {
    const to = roomOf(target)
    if (to === from || (to !== undefined && imports.includes(to))) return []
    return [`${file} imports ${target}: ${from} may import ${["itself", ...imports].join(", ")}`]
  }
  if (outside !== undefined && !outside.test(target)) return [`${file} imports ${target}: ${from} may not`]
  const builtin = target.startsWith("node:") || builtinModules.includes(target)
  const name = target.split("/").slice(0, target.startsWith("@") ? 2 : 1).join("/")
  return builtin || dependencies.includes(name) ? [] : [`${file} imports ${target}: not a production dependency`]
}

const isFile = (target: string) => target.startsWith("src/") || target.startsWith("..")

interface Import {
  /** A path from the root of the repository, or what names a package. */
  readonly target: string
  /** Whether the file is loaded by it: not by a type, and not by the name of a worker's file. */
  readonly loads: boolean
}

const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
const specifiers = new RegExp(
  [
    /^\s*(?:import|export)\b(?<type> type\b)?[^"'`;=]*?\bfrom\s*"(?<from>[^"]+)"/,
    /^\s*import\s*"(?<only>[^"]+)"/,
    /\bimport\(\s*"(?<lazy>[^"]+)"/,
    /\bnew URL\(\s*"(?<worker>\.[^"]+\.[tj]s)",\s*import\.meta\.url/
  ].map((one) => one.source).join("|"),
  "gm"
)

const importsOf = (file: string, text: string): ReadonlyArray<Import> =>
  [...text.replace(comments, "").matchAll(specifiers)].map(({ groups: { from, lazy, only, type, worker } = {} }) => {
    const specifier = from ?? only ?? lazy ?? worker ?? ""
    return {
      target: specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : specifier,
      loads: type === undefined && worker === undefined
    }
  })

/** A depth-first walk; an edge back to a file on the way down closes a circle. */
const circles = (graph: ReadonlyMap<string, ReadonlyArray<Import>>): ReadonlyArray<string> => {
  const done = new Set<string>()
  const found: Array<string> = []
  const walk = (file: string, way: ReadonlyArray<string>) => {
    if (way.includes(file)) return void found.push(`circle: ${[...way.slice(way.indexOf(file)), file].join(" → ")}`)
    if (done.has(file)) return
    for (const { loads, target } of graph.get(file) ?? []) if (loads) walk(target, [...way, file])
    done.add(file)
  }
  for (const file of graph.keys()) walk(file, [])
  return found
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { glob, readFile } = await import("node:fs/promises")
  const root = join(import.meta.dirname, "..")
  const sources = new Map<string, string>()
  for await (const file of glob("src/**/*.{ts,js}", { cwd: root })) {
    sources.set(file, await readFile(join(root, file), "utf8"))
  }
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    readonly dependencies: Record<string, string>
    readonly optionalDependencies: Record<string, string>
  }
  const lines = check(sources, Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }))
  for (const line of lines) console.error(line)
  if (lines.length === 0) console.log(`${sources.size} files, every arrow points down`)
  else process.exitCode = 1
}
