/**
 * One client of a live session, driven by hand: it sends frames, and tells when what comes back came. Times are of
 * {@link monotonicMillis}.
 */
import { WebSocket } from "@effect/platform-node/NodeWS"
import { monotonicMillis } from "../monotonicMillis.ts"

export type Codec = "opus" | "pcm"

/** Where sessions are opened, and how. */
export interface Way {
  readonly name: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly voice: string
  readonly codec: Codec
}

export interface Ears {
  /** `ms` of audio, that came together. */
  readonly onAudio: (ms: number, at: number) => void
  /** Any other frame, by its type. */
  readonly onFrame: (type: string, at: number, text: string) => void
  /** The socket is gone; 1006: lost. */
  readonly onClose?: (code: number) => void
}

interface Ready {
  readonly session_id: string
  readonly resume_token: string
}

const opusPacketMillis = 20
const bytesPerMilli = 32

export class Talker {
  readonly #socket: WebSocket
  readonly ready: Promise<Ready>
  /** Items that came behind `ready`. */
  seq: number
  #dropped = false

  /** `seq`: where a session that is taken up again was left. */
  constructor({ codec, headers, url, voice }: Way, ears: Ears, open: object = {}, seq = 0) {
    this.seq = seq
    const socket = new WebSocket(url, { headers, perMessageDeflate: false, skipUTF8Validation: true })
    this.#socket = socket
    const ready = Promise.withResolvers<Ready>()
    this.ready = ready.promise
    socket.once("open", () => this.send({ type: "open", voice_id: voice, output: outputOf(codec), ...open }))
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      const at = monotonicMillis()
      // What was on its way to it, nobody has heard.
      if (this.#dropped) return
      if (isBinary) {
        this.seq++
        return ears.onAudio(codec === "opus" ? opusPacketMillis : data.length / bytesPerMilli, at)
      }
      const text = data.toString()
      const type = /^\{"type":"(\w+)"/u.exec(text)![1]!
      if (type === "ready") return ready.resolve(JSON.parse(text) as Ready)
      this.seq++
      ears.onFrame(type, at, text)
      if (type === "error") ready.reject(new Error(text))
    })
    socket.on("error", (error) => ready.reject(error))
    socket.on("close", (code) => {
      ready.reject(new Error(`closed with ${code} before it was ready`))
      ears.onClose?.(code)
    })
    this.ready.catch(() => {})
  }

  send(frame: object): void {
    this.#socket.send(JSON.stringify(frame))
  }

  /** As a client that is done. */
  leave(): void {
    this.#socket.close(1000)
  }

  /** As a client whose network is gone. */
  drop(): void {
    this.#dropped = true
    this.#socket.terminate()
  }
}

const outputOf = (codec: Codec) => codec === "pcm" ? { codec, sample_rate: 16000 } : { codec }
