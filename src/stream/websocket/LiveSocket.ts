/**
 * A server's WebSocket that can be written to without hiding that its peer does not read: frames go out in one piece, and
 * the write is over when the kernel has them. What comes goes to its inbox, past the library's own listeners.
 *
 * Pings that flood in end it with 4429: each would be answered.
 */
import * as NodeWS from "@effect/platform-node/NodeWS"
import type { Socket } from "node:net"
import { RateLimited } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { closeCodeOf } from "../../domain/stream/CloseCode.ts"
import { controlFramesMax, FrameRate } from "../../domain/stream/FrameRate.ts"
import { encodeServerFrame, errorFrame } from "../../domain/stream/ServerFrame.ts"
import { Inbox, SocketClosed } from "./Inbox.ts"

const { WebSocket } = NodeWS
type WebSocket = NodeWS.WebSocket

/** The library's own, that its types do not know: header and payload of a frame. */
const { Sender } = NodeWS as unknown as {
  readonly Sender: {
    readonly frame: (payload: Uint8Array, options: { readonly opcode: number; readonly fin: true }) => Array<Uint8Array>
  }
}

/** How the library hands a socket over once the handshake is written. */
const Handed = WebSocket as unknown as new(...options: ReadonlyArray<unknown>) => WebSocket & {
  setSocket(tcp: Socket, head: Buffer, options: object): void
}

const byTcp = new WeakMap<Socket, LiveSocket>()

const text = { opcode: 1, fin: true } as const
const binary = { opcode: 2, fin: true } as const
const framed = (frame: string | Uint8Array) =>
  typeof frame === "string" ? Sender.frame(Buffer.from(frame), text) : Sender.frame(frame, binary)

/** Frames that are shorter together are copied into one buffer, which costs less than to hand them over one by one. Bytes. */
const joinedBytesMax = 8 * 1024

export class LiveSocket extends Handed {
  readonly inbox = new Inbox(this)
  /** Nothing hangs on it yet: it may be closed whenever the process wants to go. */
  isWaiting = false
  #tcp!: Socket
  #heardBytes = -1
  #unwritten = 0
  readonly #pings = new FrameRate()

  /** The WebSocket that this connection has become. */
  static of(tcp: Socket): LiveSocket | undefined {
    return byTcp.get(tcp)
  }

  override setSocket(tcp: Socket, head: Buffer, options: object): void {
    this.#tcp = tcp
    byTcp.set(tcp, this)
    this.on("ping", () => this.#pinged())
    this.on("error", (cause) => this.inbox.close(new SocketClosed({ code: 1006, cause })))
    this.on("close", (code) => this.inbox.close(new SocketClosed({ code })))
    super.setSocket(tcp, head, options)
  }

  override emit(event: string | symbol, ...args: Array<unknown>): boolean {
    if (event !== "message") return super.emit(event, ...args)
    const [data, isBinary] = args as [Buffer | ArrayBuffer, boolean]
    this.inbox.push(data instanceof ArrayBuffer ? new Uint8Array(data) : isBinary ? data : data.toString())
    return true
  }

  /** Bytes wait that the peer has not made room for. */
  get isStuck(): boolean {
    return this.#unwritten > 0
  }

  /**
   * Writes the frames in one piece. Calls `written` when the kernel has them, or never will; before it returns, if that is
   * so already.
   */
  write(frames: ReadonlyArray<string | Uint8Array>, written: () => void): void {
    if (this.readyState !== WebSocket.OPEN || frames.length === 0) return written()
    const tcp = this.#tcp
    let waits = true
    const done = () => {
      if (!waits) return
      waits = false
      this.#unwritten--
      written()
    }
    this.#unwritten++
    // Nothing is compressed, so nothing of the library's waits to be sent before.
    const pieces = frames.flatMap(framed)
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
    if (frames.length > 1 && bytes <= joinedBytesMax) tcp.write(Buffer.concat(pieces, bytes), done)
    else {
      tcp.cork()
      const last = pieces.pop()!
      for (const piece of pieces) tcp.write(piece)
      tcp.write(last, done)
      tcp.uncork()
    }
    if (tcp.writableLength === 0) done()
  }

  /** Calls `react` when the connection is lost, with nobody having said goodbye. */
  onLost(react: () => void): void {
    this.#tcp.once("close", () => {
      if (!this.#tcp.writableEnded) react()
    })
  }

  /** Breaks the connection: what lies in buffers is not sent. */
  reset(): void {
    this.#tcp.resetAndDestroy()
  }

  /** Whether anything came since this was asked last. */
  get wasHeard(): boolean {
    const { bytesRead } = this.#tcp
    const heard = bytesRead !== this.#heardBytes
    this.#heardBytes = bytesRead
    return heard
  }

  /** Says why, and closes. */
  refuse(failure: Failure): void {
    if (this.readyState !== WebSocket.OPEN) return
    this.send(JSON.stringify(encodeServerFrame(errorFrame(failure))))
    this.close(closeCodeOf(failure.code), failure.code)
  }

  #pinged(): void {
    if (this.#pings.isOver(performance.now())) {
      this.refuse(new RateLimited({ limit: controlFramesMax, retryAfter: 1 }))
    }
  }
}
