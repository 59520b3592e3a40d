/**
 * Finds the server programs and the recorded speech that the tests use, and installs what is missing from Debian when that
 * is possible.
 * Otherwise the run fails with a message that says what to install or which variable to set. Nothing is skipped.
 */
import { execFile } from "node:child_process"
import { access, constants } from "node:fs/promises"
import { delimiter, isAbsolute, join } from "node:path"
import { promisify } from "node:util"

interface Needed {
  /** Names of programs, or absolute paths of files. */
  readonly programs: ReadonlyArray<string>
  /** The Debian packages that hold them. */
  readonly packages: ReadonlyArray<string>
  /** The variable that points at a running server instead. */
  readonly variable?: string
}

/** The one that Debian's packages are for. */
export const python = "/usr/bin/python3"

const needed: ReadonlyArray<Needed> = [
  {
    programs: ["mariadbd", "mariadb-install-db", "my_print_defaults"],
    packages: ["mariadb-server-core", "mariadb-client-core"],
    variable: "SCAISPEAK_TEST_MARIADB_URL"
  },
  { programs: ["redis-server"], packages: ["redis-server"], variable: "SCAISPEAK_TEST_REDIS_URL" },
  { programs: ["ffmpeg"], packages: ["ffmpeg"] },
  // A client of gRPC that shares no code with the service.
  { programs: [python, "/usr/lib/python3/dist-packages/grpc/__init__.py"], packages: ["python3-grpcio"] },
  { programs: ["/usr/lib/python3/dist-packages/google/protobuf/message_factory.py"], packages: ["python3-protobuf"] },
  {
    programs: ["/usr/share/pocketsphinx/test/data/goforward.raw", "/usr/share/sounds/alsa/Front_Left.wav"],
    packages: ["pocketsphinx-testdata", "alsa-utils"]
  }
]

const run = promisify(execFile)
/** Debian keeps servers in `sbin`, which is not on everybody's path. */
const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"]

/** The path of a program, or `undefined`. */
export const locate = async (program: string): Promise<string | undefined> => {
  for (const folder of folders) {
    const path = join(folder, program)
    if (await access(path, constants.X_OK).then(() => true, () => false)) return path
  }
  return undefined
}

/** Returns when every program that is not given by a variable can be started, and every recording is there. */
export const ensurePrograms = async (): Promise<void> => {
  const missing = await listMissing()
  if (missing.length === 0) return
  const packages = missing.flatMap((one) => one.packages)
  if (process.getuid?.() !== 0 || (await locate("apt-get")) === undefined) throw new Error(advice(missing))
  console.log(`Installing ${packages.join(", ")} for the tests (apt-get, once)`)
  // Without a run level the packages do not start their own servers.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" }
  const lock = ["-o", "DPkg::Lock::Timeout=300"]
  try {
    await run("apt-get", ["update", "-qq", ...lock], { env })
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...lock, ...packages], { env })
  } catch (error) {
    // Another run may have installed them meanwhile.
    if ((await listMissing()).length > 0) throw new Error(advice(missing), { cause: error })
  }
}

const readable = (path: string) => access(path, constants.R_OK).then(() => path, () => undefined)

const listMissing = async () => {
  const missing: Array<Needed> = []
  for (const one of needed) {
    const found = await Promise.all(one.programs.map((name) => (isAbsolute(name) ? readable(name) : locate(name))))
    if ((one.variable === undefined || !process.env[one.variable]) && found.includes(undefined)) missing.push(one)
  }
  return missing
}

const advice = (missing: ReadonlyArray<Needed>) =>
  [
    "The tests run against real programs and recorded people, and these are missing:",
    ...missing.map(({ packages, programs, variable }) =>
      `  ${programs[0]}: install ${packages.join(" and ")}${variable === undefined ? "" : `, or set ${variable}`}`
    ),
    `On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${
      missing.flatMap((one) => one.packages).join(" ")
    }`
  ].join("\n")
