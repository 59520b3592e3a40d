/**
 * A world of memory for one run of a WASI command: its arguments go in, one file it writes comes out.
 *
 * Only the thirteen calls that Flite imports exist. Nothing touches the machine: no real file, clock or environment can
 * be seen, so a run depends on its arguments alone.
 */

/** What a run leaves behind. */
export interface Ran {
  readonly exitCode: number
  /** Bytes of the last file opened for writing; empty when none was. */
  readonly file: Uint8Array
}

/** The program's memory at the moment it opens its output file. `heapStart` is the address of its first allocation. */
export type Opened = (memory: ArrayBuffer, heapStart: number) => void

/** Thrown through the program's frames to unwind them when it exits. */
class Exit extends Error {
  readonly code: number
  constructor(code: number) {
    super(`exit ${code}`)
    this.code = code
  }
}

const errno = { success: 0, badf: 8, noent: 44, spipe: 70 } as const
const fileType = { characterDevice: 2, directory: 3, regularFile: 4 } as const
const stdoutFd = 1
const folderFd = 3
const outputFd = 4
const fileBytesInitial = 1 << 18
const oflagsCreate = 1
const textEncoder = new TextEncoder()

/** Runs the command to its end. Throws what the program traps with. */
export const run = (module: WebAssembly.Module, args: ReadonlyArray<string>, onOpen: Opened): Ran => {
  const argv = args.map((arg) => textEncoder.encode(`${arg}\0`))
  let memory: WebAssembly.Memory
  let heapStart = 0
  let file = new Uint8Array(fileBytesInitial)
  let length = 0
  let position = 0
  const view = () => new DataView(memory.buffer)

  const append = (source: Uint8Array) => {
    const end = position + source.length
    if (end > file.length) {
      const larger = new Uint8Array(Math.max(end, 2 * file.length))
      larger.set(file.subarray(0, length))
      file = larger
    }
    file.set(source, position)
    position = end
    length = Math.max(length, end)
  }

  const wasi = {
    args_sizes_get: (count: number, bytes: number) => {
      view().setUint32(count, argv.length, true)
      view().setUint32(bytes, argv.reduce((sum, arg) => sum + arg.length, 0), true)
      return errno.success
    },
    args_get: (pointers: number, buffer: number) => {
      heapStart = Math.min(pointers, buffer)
      for (const arg of argv) {
        view().setUint32(pointers, buffer, true)
        new Uint8Array(memory.buffer).set(arg, buffer)
        pointers += 4
        buffer += arg.length
      }
      return errno.success
    },
    // Flite times itself with the clock and prints the result nowhere.
    clock_time_get: (_clock: number, _precision: bigint, time: number) => {
      view().setBigUint64(time, 0n, true)
      return errno.success
    },
    fd_close: () => errno.success,
    fd_fdstat_get: (fd: number, stat: number) => {
      if (fd > outputFd) return errno.badf
      const type = fd === folderFd
        ? fileType.directory
        : fd === outputFd
        ? fileType.regularFile
        : fileType.characterDevice
      new Uint8Array(memory.buffer, stat, 24).fill(0)
      view().setUint8(stat, type)
      view().setBigUint64(stat + 8, ~0n, true)
      view().setBigUint64(stat + 16, ~0n, true)
      return errno.success
    },
    fd_fdstat_set_flags: () => errno.success,
    // One folder is open, named ".".
    fd_prestat_get: (fd: number, prestat: number) => {
      if (fd !== folderFd) return errno.badf
      view().setUint32(prestat, 0, true)
      view().setUint32(prestat + 4, 1, true)
      return errno.success
    },
    fd_prestat_dir_name: (_fd: number, path: number) => {
      view().setUint8(path, ".".charCodeAt(0))
      return errno.success
    },
    fd_read: (_fd: number, _iovs: number, _count: number, read: number) => {
      view().setUint32(read, 0, true)
      return errno.success
    },
    fd_seek: (fd: number, offset: bigint, whence: number, result: number) => {
      if (fd !== outputFd) return errno.spipe
      position = Number(offset) + [0, position, length][whence]!
      view().setBigUint64(result, BigInt(position), true)
      return errno.success
    },
    fd_write: (fd: number, iovs: number, count: number, written: number) => {
      let total = 0
      for (let at = iovs; at < iovs + 8 * count; at += 8) {
        const bytes = new Uint8Array(memory.buffer, view().getUint32(at, true), view().getUint32(at + 4, true))
        if (fd === outputFd) append(bytes)
        total += bytes.length
      }
      view().setUint32(written, total, true)
      return fd < stdoutFd ? errno.badf : errno.success
    },
    path_open: (
      _fd: number,
      _lookup: number,
      _path: number,
      _pathLength: number,
      oflags: number,
      _rights: bigint,
      _inheriting: bigint,
      _fdFlags: number,
      opened: number
    ) => {
      if ((oflags & oflagsCreate) === 0) return errno.noent
      onOpen(memory.buffer, heapStart)
      length = position = 0
      view().setUint32(opened, outputFd, true)
      return errno.success
    },
    proc_exit: (code: number) => {
      throw new Exit(code)
    }
  }

  const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi })
  memory = exports.memory as WebAssembly.Memory
  let exitCode = 0
  try {
    ;(exports._start as () => void)()
  } catch (cause) {
    if (!(cause instanceof Exit)) throw cause
    exitCode = cause.code
  }
  return { exitCode, file: file.subarray(0, length) }
}
