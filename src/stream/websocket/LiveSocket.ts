/**
 * A server's WebSocket that can be written to without hiding that its peer does not read: frames go out in one piece, and
 * the write is over when the kernel has them.
 *
 * Pings that flood in end it with 4429: each would be answered.
 */
import { WebSocket } from "@effect/platform-node/NodeWS"
import type { Socket } from "node:net"
import { RateLimited } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { closeCodeOf } from "../../domain/stream/CloseCode.ts"
import { controlFramesMax, FrameRate } from "../../domain/stream/FrameRate.ts"
import { encodeServerFrame, errorFrame } from "../../domain/stream/ServerFrame.ts"

/** How the library hands a socket over once the handshake is written. */
const Handed = WebSocket as unknown as new(...options: ReadonlyArray<unknown>) => WebSocket & {
  setSocket(tcp: Socket, head: Buffer, options: object): void
}

const byTcp = new WeakMap<Socket, LiveSocket>()

const text = { binary: false, compress: false, fin: true }
const binary = { binary: true, compress: false, fin: true }

export class LiveSocket extends Handed {
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
    super.setSocket(tcp, head, options)
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
    tcp.cork()
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i]!
      this.send(frame, typeof frame === "string" ? text : binary, i === frames.length - 1 ? done : undefined)
    }
    tcp.uncork()
    if (tcp.writableLength === 0) done()
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
    this.send(JSON.stringify(encodeServerFrame(errorFrame(failure))), text)
    this.close(closeCodeOf(failure.code), failure.code)
  }

  #pinged(): void {
    if (this.#pings.isOver(performance.now())) {
      this.refuse(new RateLimited({ limit: controlFramesMax, retryAfter: 1 }))
    }
  }
}
