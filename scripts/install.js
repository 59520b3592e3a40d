/**
 * Brings `node_modules` to what `package-lock.json` says, on any Node that npm itself runs on, and says so in one line.
 * When it is there already, nothing is started and nothing is printed. `--production` asks for what `npm start` needs;
 * an installation that also holds the development tools satisfies it.
 *
 * Afterwards `node` in every npm script is the Node 24 of `node_modules/.bin`.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, realpathSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const leastNode = 24

/** @param {{ readonly production: boolean }} options */
export const install = ({ production }) => {
  const missing = compare(production)
  if (missing !== "nothing") {
    console.error(`Installing ${production ? "what ScaiSpeak needs" : "ScaiSpeak and its development tools"} …`)
    npm(missing === "tools" ? addTools : production ? [...afresh, "--omit=dev"] : afresh)
  }
  const node = nodeProgram()
  const shipped = join("..", `node-${process.platform}-${process.arch}`, "bin/node")
  // npm 10 takes the link away again together with the package for the other processor.
  if (!existsSync(node) && existsSync(join(dirname(node), shipped))) symlinkSync(shipped, node)
  const found = existsSync(node)
    ? missing === "nothing" || spawnSync(node, ["--version"]).status === 0
    : Number.parseInt(process.versions.node) >= leastNode
  if (!found) {
    fail(
      `ScaiSpeak needs Node ${leastNode} and found ${process.version}. There is no package of it for ${process.platform} ` +
        `${process.arch}: please install Node ${leastNode}.`
    )
  }
}

/** The Node that the lock file brings; not there on a platform without a package. */
export const nodeProgram = () => join(root, "node_modules/.bin/node")

// No package of ours has to run anything when it is installed.
const quiet = ["--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund"]
const afresh = ["ci", ...quiet]
// Leaves what is there alone: a server may be running from it.
const addTools = ["install", "--no-save", "--prefer-offline", ...quiet]

/**
 * Holds what npm noted about its last installation against the lock file. npm writes that note last, so that an
 * interrupted installation has none.
 *
 * @param {boolean} production
 * @returns {"nothing" | "tools" | "everything"}
 */
const compare = (production) => {
  const wanted = packages("package-lock.json")
  const there = packages("node_modules/.package-lock.json")
  if (wanted === undefined) return fail("package-lock.json is missing.")
  if (there === undefined) return "everything"
  let tools = false
  for (const [path, { dev, integrity, optional, version }] of Object.entries(wanted)) {
    const one = there[path]
    if (path === "" || (one === undefined && optional)) continue
    if (one !== undefined && one.version === version && one.integrity === integrity) continue
    if (!dev || one !== undefined) return "everything"
    tools = true
  }
  return tools && !production ? "tools" : "nothing"
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, integrity?: string, dev?: boolean, optional?: boolean }> | undefined}
 */
const packages = (path) => {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages
  } catch {
    return undefined
  }
}

/** @param {ReadonlyArray<string>} args */
const npm = (args) => {
  // Under `npm start` this is the very npm that runs us.
  const cli = process.env.npm_execpath
  const { error, status } = cli?.endsWith(".js")
    ? spawnSync(process.execPath, [cli, ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
    : spawnSync("npm", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
  if (status !== 0) fail(`npm ${args.join(" ")} failed${error ? `: ${error.message}` : ""}. Nothing was started.`)
}

/**
 * @param {string} message
 * @returns {never}
 */
const fail = (message) => {
  console.error(message)
  process.exit(1)
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  install({ production: process.argv.includes("--production") })
}
