/** A WebSocket client that may do what no library lets it: frames by hand, and reading only when it is told to. */
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { connect } from "node:net"
import type { Socket } from "node:net"

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** A masked frame (RFC 6455 §5.2). `claims`: the length that its header says. */
export const frame = (op: number, payload: Uint8Array | string, { claims, fin = true, masked = true, rsv = 0 } = {} as {
  readonly claims?: number
  readonly fin?: boolean
  readonly masked?: boolean
  readonly rsv?: number
}): Buffer => {
  const bytes = Buffer.from(payload)
  const length = claims ?? bytes.length
  const head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10)
  head[0] = (fin ? 0x80 : 0) | rsv | op
  head[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length < 65536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([head, bytes])
  const mask = randomBytes(4)
  for (let i = 0; i < bytes.length; i++) bytes[i]! ^= mask[i % 4]!
  return Buffer.concat([head, mask, bytes])
}

export interface Reply {
  readonly status: number
  readonly headers: Record<string, string>
  readonly json: any
}

export interface ConnectOptions {
  readonly headers?: Record<string, string>
  readonly query?: string
  readonly method?: string
}

const handshakeHeaders = () => ({
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": randomBytes(16).toString("base64")
})

/** Asks for an upgrade of `<url>/stream/speak`. An empty header is not sent. */
export const ask = async (url: string, { headers = {}, method = "GET", query = "" }: ConnectOptions = {}) => {
  const { host, hostname, pathname, port } = new URL(`${url}/stream/speak`)
  const tcp = connect(Number(port), hostname)
  tcp.setNoDelay(true)
  tcp.on("error", () => {})
  await once(tcp, "connect")
  const all: Record<string, string> = { Host: host, ...handshakeHeaders(), ...headers }
  const lines = Object.entries(all).flatMap(([name, value]) => value === "" ? [] : [`${name}: ${value}`])
  tcp.write([`${method} ${pathname}${query} HTTP/1.1`, ...lines, "", ""].join("\r\n"))
  let head = Buffer.alloc(0)
  while (!head.includes("\r\n\r\n")) head = Buffer.concat([head, (await once(tcp, "data"))[0] as Buffer])
  tcp.pause()
  const end = head.indexOf("\r\n\r\n")
  const [first, ...rest] = head.subarray(0, end).toString().split("\r\n")
  const status = Number(first!.split(" ")[1])
  const replied = Object.fromEntries(rest.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  const accept = createHash("sha1").update(`${all["Sec-WebSocket-Key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  if (status === 101 && replied["sec-websocket-accept"] !== accept.digest("base64")) throw new Error("wrong accept")
  return { status, headers: replied, tcp, rest: head.subarray(end + 4) }
}

/** A request that is refused, or would be. */
export const refused = async (url: string, options?: ConnectOptions): Promise<Reply> => {
  const { headers, rest, status, tcp } = await ask(url, options)
  let body = rest
  const length = Number(headers["content-length"] ?? 0)
  tcp.resume()
  while (body.length < length) body = Buffer.concat([body, (await once(tcp, "data"))[0] as Buffer])
  tcp.destroy()
  return {
    status,
    headers,
    json: headers["content-type"]?.startsWith("application/json") ? JSON.parse(body.toString()) : undefined
  }
}

export class RawClient {
  readonly tcp: Socket
  readonly texts: Array<any> = []
  readonly audio: Array<Buffer> = []
  /** Both, in the order in which they came; audio as bytes. */
  readonly items: Array<any> = []
  pings = 0
  /** Of the close frame. */
  code: number | undefined
  reason = ""
  closed = false
  answersPings = true
  answersClose = true
  #unread: Array<Buffer> = []
  #unreadBytes = 0

  constructor(tcp: Socket, rest: Buffer) {
    this.tcp = tcp
    tcp.on("close", () => this.closed = true)
    tcp.on("data", (chunk) => this.#read(chunk))
    this.#read(rest)
    tcp.resume()
  }

  static async connect(url: string, options?: ConnectOptions): Promise<RawClient> {
    const { headers, rest, status, tcp } = await ask(url, options)
    if (status !== 101) throw new Error(`${status} ${JSON.stringify(headers)} ${rest}`)
    return new RawClient(tcp, rest)
  }

  say(...frames: ReadonlyArray<object | string>): void {
    for (const one of frames) this.raw(frame(opcode.text, typeof one === "string" ? one : JSON.stringify(one)))
  }

  raw(bytes: Buffer): void {
    this.tcp.write(bytes)
  }

  leave(code = 1000): void {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.raw(frame(opcode.close, payload))
  }

  of(type: string): Array<any> {
    return this.texts.filter((text) => text.type === type)
  }

  heard(): Buffer {
    return Buffer.concat(this.audio)
  }

  #read(chunk: Buffer): void {
    this.#unread.push(chunk)
    this.#unreadBytes += chunk.length
    if (this.#unreadBytes < 2) return
    let bytes = Buffer.concat(this.#unread)
    for (;;) {
      if (bytes.length < 2) break
      const short = bytes[1]! & 0x7f
      const head = short < 126 ? 2 : short === 126 ? 4 : 10
      if (bytes.length < head) break
      const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
      if (bytes.length < head + length) break
      this.#take(bytes[0]! & 0x0f, bytes.subarray(head, head + length))
      bytes = bytes.subarray(head + length)
    }
    this.#unread = [bytes]
    this.#unreadBytes = bytes.length
  }

  #take(op: number, payload: Buffer): void {
    switch (op) {
      case opcode.text: {
        const json = JSON.parse(payload.toString())
        this.texts.push(json)
        if (json.type !== "ready") this.items.push(json)
        return
      }
      case opcode.binary:
        this.audio.push(Buffer.from(payload))
        return void this.items.push(Buffer.from(payload))
      case opcode.ping:
        this.pings++
        if (this.answersPings) this.raw(frame(opcode.pong, payload))
        return
      case opcode.close:
        this.code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
        this.reason = payload.subarray(2).toString()
        if (this.answersClose) this.tcp.end(frame(opcode.close, payload.subarray(0, 2)))
    }
  }
}
