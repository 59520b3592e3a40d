/**
 * A receiver of webhooks on loopback, which takes nobody's word: it checks signatures by the text of Standard Webhooks, with
 * code of its own, and answers as it is told.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { createServer } from "node:http"
import type { IncomingHttpHeaders, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Message {
  readonly path: string
  readonly id: string
  /** Epoch s. */
  readonly timestamp: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Receiver {
  readonly url: string
  /** As settings name it. */
  readonly host: string
  readonly seen: Array<Message>
  /** What the next messages are answered with, by path; 200 when there is nothing left. */
  readonly answers: Map<string, Array<number | "nothing" | ((response: ServerResponse) => void)>>
  readonly stop: () => Promise<void>
}

export const startReceiver = async (): Promise<Receiver> => {
  const seen: Receiver["seen"] = []
  const answers: Receiver["answers"] = new Map()
  const server = createServer(async (request, response) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    const { headers, url: path = "" } = request
    seen.push({
      path,
      id: String(headers["webhook-id"]),
      timestamp: Number(headers["webhook-timestamp"]),
      headers,
      body: Buffer.concat(chunks).toString()
    })
    const answer = answers.get(path)?.shift() ?? 200
    if (answer === "nothing") return
    if (typeof answer === "function") answer(response)
    else response.writeHead(answer, answer === 302 ? { location: "/elsewhere" } : {}).end("thanks")
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    seen,
    answers,
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped())
        server.closeAllConnections()
      })
  }
}

/**
 * Whether one of a message's signatures is by the secret (Standard Webhooks 1.0.0, "Verifying signatures"). The message's
 * age is left to the caller.
 */
export const verifies = (secret: string, { body, headers }: Pick<Message, "body" | "headers">): boolean => {
  const match = /^whsec_([A-Za-z0-9+/]+=*)$/u.exec(secret)
  if (match === null) return false
  const signed = [headers["webhook-id"], headers["webhook-timestamp"], body].join(".")
  const expected = createHmac("sha256", Buffer.from(match[1]!, "base64")).update(signed, "utf8").digest()
  return String(headers["webhook-signature"]).split(" ").some((signature) => {
    const [version, text = ""] = signature.split(",", 2)
    const given = Buffer.from(text, "base64")
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected)
  })
}
