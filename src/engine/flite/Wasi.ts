/**
 * A world of memory for a WASI command: its arguments go in, one file it writes comes out.
 *
 * Only the thirteen calls that Flite imports exist. Nothing touches the machine: no real file, clock or environment can
 * be seen. Each run begins with the memory as it was before the first, so a run depends on its arguments alone. Putting
 * it back takes 2 ms; a new instance takes 12 and leaves 21 MB for the collector.
 */

/** What a run leaves behind. */
export interface Ran {
  readonly exitCode: number
  /** Bytes of the last file opened for writing, valid until the next run; empty when none was. */
  readonly file: Uint8Array<ArrayBuffer>
}

/** The program's memory at the moment it opens its output file. `heapStart` is the address of its first allocation. */
export type Opened = (memory: ArrayBuffer, heapStart: number) => void

/** Thrown through the program's frames to unwind them when it exits early. */
class Exit extends Error {
  readonly code: number
  constructor(code: number) {
    super(`exit ${code}`)
    this.code = code
  }
}

const errno = { success: 0, badf: 8, noent: 44, spipe: 70 } as const
const fileType = { characterDevice: 2, directory: 3, regularFile: 4 } as const
const folderFd = 3
const outputFd = 4
const fileBytesInitial = 1 << 18
const oflagsCreate = 1
const textEncoder = new TextEncoder()

/** One program, run as often as wanted, one run at a time. */
export class Program {
  readonly #module: WebAssembly.Module
  #instance: WebAssembly.Instance | undefined
  #pristine = new Uint8Array(0)
  #argv: ReadonlyArray<Uint8Array> = []
  #onOpen: Opened = () => {}
  #heapStart = 0
  #file = new Uint8Array(fileBytesInitial)
  #length = 0
  #position = 0

  constructor(module: WebAssembly.Module) {
    this.#module = module
  }

  /** Runs the command to its end. Throws what it traps with. */
  run(args: ReadonlyArray<string>, onOpen: Opened): Ran {
    this.#argv = args.map((arg) => textEncoder.encode(`${arg}\0`))
    this.#onOpen = onOpen
    this.#length = this.#position = 0
    const instance = this.#fresh()
    // A run that does not return leaves its stack as it was, and its instance useless.
    this.#instance = undefined
    let exitCode = 0
    try {
      ;(instance.exports._start as () => void)()
      this.#instance = instance
    } catch (cause) {
      if (!(cause instanceof Exit)) throw cause
      exitCode = cause.code
    }
    return { exitCode, file: this.#file.subarray(0, this.#length) }
  }

  /** An instance that has never run, or one that cannot tell. */
  #fresh(): WebAssembly.Instance {
    if (this.#instance === undefined) {
      const instance = new WebAssembly.Instance(this.#module, { wasi_snapshot_preview1: this.#calls })
      this.#memory = () => (instance.exports.memory as WebAssembly.Memory).buffer
      this.#pristine = new Uint8Array(this.#memory()).slice()
      return instance
    }
    const memory = new Uint8Array(this.#memory())
    memory.set(this.#pristine)
    memory.fill(0, this.#pristine.length)
    return this.#instance
  }

  /** A new buffer each time the program grows it. */
  #memory = (): ArrayBuffer => new ArrayBuffer(0)
  #view = () => new DataView(this.#memory())

  #append(source: Uint8Array): void {
    const end = this.#position + source.length
    if (end > this.#file.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#file.length))
      larger.set(this.#file.subarray(0, this.#length))
      this.#file = larger
    }
    this.#file.set(source, this.#position)
    this.#position = end
    this.#length = Math.max(this.#length, end)
  }

  readonly #calls = {
    args_sizes_get: (count: number, bytes: number) => {
      this.#view().setUint32(count, this.#argv.length, true)
      this.#view().setUint32(bytes, this.#argv.reduce((sum, arg) => sum + arg.length, 0), true)
      return errno.success
    },
    args_get: (pointers: number, buffer: number) => {
      this.#heapStart = Math.min(pointers, buffer)
      for (const arg of this.#argv) {
        this.#view().setUint32(pointers, buffer, true)
        new Uint8Array(this.#memory()).set(arg, buffer)
        pointers += 4
        buffer += arg.length
      }
      return errno.success
    },
    // Flite times itself with the clock and prints the result nowhere.
    clock_time_get: (_clock: number, _precision: bigint, time: number) => {
      this.#view().setBigUint64(time, 0n, true)
      return errno.success
    },
    fd_close: () => errno.success,
    fd_fdstat_get: (fd: number, stat: number) => {
      if (fd > outputFd) return errno.badf
      new Uint8Array(this.#memory(), stat, 24).fill(0)
      this.#view().setUint8(stat, typeOf(fd))
      this.#view().setBigUint64(stat + 8, ~0n, true)
      this.#view().setBigUint64(stat + 16, ~0n, true)
      return errno.success
    },
    fd_fdstat_set_flags: () => errno.success,
    // One folder is open, named ".".
    fd_prestat_get: (fd: number, prestat: number) => {
      if (fd !== folderFd) return errno.badf
      this.#view().setUint32(prestat, 0, true)
      this.#view().setUint32(prestat + 4, 1, true)
      return errno.success
    },
    fd_prestat_dir_name: (_fd: number, path: number) => {
      this.#view().setUint8(path, ".".charCodeAt(0))
      return errno.success
    },
    fd_read: (_fd: number, _iovs: number, _count: number, read: number) => {
      this.#view().setUint32(read, 0, true)
      return errno.success
    },
    fd_seek: (fd: number, offset: bigint, whence: number, result: number) => {
      if (fd !== outputFd) return errno.spipe
      this.#position = Number(offset) + [0, this.#position, this.#length][whence]!
      this.#view().setBigUint64(result, BigInt(this.#position), true)
      return errno.success
    },
    fd_write: (fd: number, iovs: number, count: number, written: number) => {
      const view = this.#view()
      let total = 0
      for (let at = iovs; at < iovs + 8 * count; at += 8) {
        const bytes = new Uint8Array(this.#memory(), view.getUint32(at, true), view.getUint32(at + 4, true))
        if (fd === outputFd) this.#append(bytes)
        total += bytes.length
      }
      view.setUint32(written, total, true)
      return errno.success
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
      this.#onOpen(this.#memory(), this.#heapStart)
      this.#length = this.#position = 0
      this.#view().setUint32(opened, outputFd, true)
      return errno.success
    },
    proc_exit: (code: number) => {
      throw new Exit(code)
    }
  }
}

const typeOf = (fd: number): number =>
  fd === folderFd ? fileType.directory : fd === outputFd ? fileType.regularFile : fileType.characterDevice
