/**
 * A real MariaDB on a private data folder and a free port, ready in a quarter of a second: the data folder is a copy of
 * a template that is made once for each version of the server.
 */
import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { type Guarded, startGuarded } from "./Guarded.ts"
import { locate } from "./Programs.ts"

/** See `Guarded` for what each verb does. `kill` then `start` is a crash and a recovery on the same data. */
export interface Mariadb extends Guarded {
  /** `mysql://…/test`, an empty database. */
  readonly url: string
}

const run = promisify(execFile)
const cache = join(import.meta.dirname, "../../node_modules/.cache/scaispeak")
/** A small log keeps the template at 26 MB. Both the making and every start have to name it. */
const smallLog = "--innodb-log-file-size=8M"
const asRoot = process.getuid?.() === 0 ? ["--user=root"] : []

/** A private server, for tests that break it. Tests that only use one take `mariadbUrl` of `inject.ts`. */
export const startMariadb = (): Promise<Mariadb> => started(0)

/** One whose commits survive `kill`, which takes the last second of them from the other. */
export const startDurableMariadb = (): Promise<Mariadb> => started(1)

const started = async (flushAtCommit: 0 | 1): Promise<Mariadb> => {
  const server = await program("mariadbd")
  const prepared = await template(server)
  const guarded = await startGuarded({
    name: "mariadb",
    prepare: (folder) => cp(prepared, join(folder, "data"), { recursive: true }),
    command: (folder, port) => [
      server,
      "--no-defaults", // must come first
      ...asRoot,
      `--datadir=${join(folder, "data")}`,
      `--socket=${join(folder, "socket")}`,
      `--pid-file=${join(folder, "mariadb.pid")}`,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      "--skip-name-resolve",
      "--skip-log-bin",
      smallLog,
      `--innodb-flush-log-at-trx-commit=${flushAtCommit}`,
      "--innodb-buffer-pool-size=64M",
      "--max-connections=500",
      "--max-connect-errors=1000000"
    ]
  })
  return { ...guarded, url: `mysql://root@127.0.0.1:${guarded.port}/test` }
}

const program = async (name: string) => {
  const path = await locate(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  return path
}

/** Made under a name of its own and renamed when complete, so that runs side by side never see half of one. */
const template = async (server: string): Promise<string> => {
  const { stdout } = await run(server, ["--no-defaults", "--version"])
  const version = /Ver (\S+)/.exec(stdout)?.[1] ?? "unknown"
  const folder = join(cache, `mariadb-${version}`)
  if (await exists(folder)) return folder
  await mkdir(cache, { recursive: true })
  const making = await mkdtemp(join(cache, "making-"))
  await run(await program("mariadb-install-db"), [
    "--no-defaults",
    ...asRoot,
    `--datadir=${making}`,
    smallLog,
    "--auth-root-authentication-method=normal",
    "--skip-test-db"
  ])
  await mkdir(join(making, "test"), { recursive: true })
  await rename(making, folder).catch(() => rm(making, { recursive: true }))
  return folder
}

const exists = (path: string) => stat(path).then(() => true, () => false)
