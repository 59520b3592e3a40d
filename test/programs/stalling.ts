/**
 * Loaded before a program (`node --import`), makes it stand still for ever just before steps that it takes outside of
 * itself: a file that gets its name, a statement of SQLite, bytes that go to a socket. A statement stops the whole program,
 * the others only what waits for them.
 *
 * `SCAISPEAK_TEST_STALLS`: in JSON, for each stall the texts that come before it, one after the other; at the last it
 * stalls, the file `stalled-<n>` appears in the folder `SCAISPEAK_TEST_STALLED`, and the next stall is waited for. A file's
 * text is `rename <path>`; a statement's is its SQL; a socket's is what is written, and what begins with `=` is written to
 * the same socket as the text before.
 */
import { writeFileSync } from "node:fs"
import fs from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { Socket } from "node:net"
import { join } from "node:path"
import { DatabaseSync, StatementSync } from "node:sqlite"

const stalls: Array<Array<string>> = JSON.parse(process.env["SCAISPEAK_TEST_STALLS"]!)
let stalled = 0
let source: unknown

/** Whether to stall here. */
const isStep = (text: string, from?: Socket): boolean => {
  const awaited = stalls[stalled]
  if (awaited?.[0] === undefined) return false
  const isSame = awaited[0].startsWith("=")
  if (!text.includes(awaited[0].slice(isSame ? 1 : 0)) || (isSame && from !== source)) return false
  awaited.shift()
  source = from
  if (awaited.length > 0) return false
  writeFileSync(join(process.env["SCAISPEAK_TEST_STALLED"]!, `stalled-${stalled++}`), text.slice(0, 200))
  return true
}

const rename = fs.rename
fs.rename = (from, to) => isStep(`rename ${to}`) ? new Promise(() => {}) : rename(from, to)
syncBuiltinESMExports()

/** A statement holds the event loop, and so does its stall. */
const standStill = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)

const exec = DatabaseSync.prototype.exec
DatabaseSync.prototype.exec = function(sql) {
  if (isStep(sql)) standStill()
  return exec.call(this, sql)
}
for (const name of ["all", "run"] as const) {
  const execute = StatementSync.prototype[name] as (...params: Array<unknown>) => unknown
  StatementSync.prototype[name] = function(this: StatementSync, ...params: Array<unknown>) {
    if (isStep(this.sourceSQL)) standStill()
    return execute.apply(this, params)
  } as never
}

/** Nothing more comes out of them, and nobody's patience with them ends. */
const silent = new WeakSet<Socket>()
const write = Socket.prototype.write as (...args: Array<any>) => boolean
Socket.prototype.write = function(this: Socket, ...args: Array<any>) {
  if (silent.has(this)) return true
  const [chunk] = args
  const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("latin1")
  if (!isStep(text, this)) return write.apply(this, args)
  silent.add(this)
  this.setTimeout(0)
  this.setTimeout = () => this
  return true
}
