#!/usr/bin/env node
/**
 * `npx scaispeak …`: installs what is missing, then runs `src/main.ts`. Under an older Node it does so with the Node 24
 * that was installed, passing on signals and the exit code.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { constants } from "node:os"
import { fileURLToPath } from "node:url"
import { install, nodeProgram } from "../scripts/install.js"

install({ production: true })
if (process.env.npm_command === "exec") endWithParent()
const main = new URL("../src/main.ts", import.meta.url)

if (process.features.typescript && Number.parseInt(process.versions.node) >= 24) {
  process.removeAllListeners("warning")
  process.on("warning", (warning) => {
    // node:sqlite says at every start that it is new.
    if (warning.name !== "ExperimentalWarning") console.warn(warning)
  })
  await import(main.href)
} else {
  const node = existsSync(nodeProgram()) ? nodeProgram() : process.execPath
  const args = ["--disable-warning=ExperimentalWarning", fileURLToPath(main), ...process.argv.slice(2)]
  const child = spawn(node, args, { stdio: "inherit" })
  // A terminal sends Ctrl-C to the child as well; what is left to pass on is what was sent to us alone.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"))
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  process.on("SIGHUP", () => child.kill("SIGHUP"))
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

/** npx puts a shell between itself and us that dies of SIGTERM and tells nobody. */
function endWithParent() {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, "SIGTERM")
  }, 500)
  watch.unref()
}
