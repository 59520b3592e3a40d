/**
 * The gate before the store: refuses wrong credentials, expired links, damaged bodies and second writes of what may be
 * written once (`If-None-Match: *`), as a real S3 does, and passes on the rest. The store checks none of these.
 */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
  type ServerResponse
} from "node:http"
import { buffer } from "node:stream/consumers"
import { type Body, open } from "./S3Body.ts"
import { type Keys, type Refusal, refusal, type Signed } from "./S3Signature.ts"

interface Options extends Keys {
  readonly port: number
  readonly storePort: number
}

/** Resolves when it listens on 127.0.0.1. */
export const listen = (options: Options): Promise<void> => {
  const { port, storePort } = options
  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const request: Signed = { method: incoming.method ?? "", url: incoming.url ?? "/", headers: incoming.headers }
    const refused = refusal(request, options, Date.now())
    if (refused !== undefined) return refuse(incoming, response, refused)
    const body = open(request, await buffer(incoming))
    if ("code" in body) return refuse(incoming, response, body)
    if (incoming.headers["if-none-match"] !== "*" || incoming.method === "GET" || incoming.method === "HEAD") {
      return pass(storePort, incoming, response, body)
    }
    return alone(request.url.split("?", 1)[0] ?? "", async () => {
      if (await holds(storePort, request)) {
        return refuse(incoming, response, { code: "PreconditionFailed", status: 412 })
      }
      return pass(storePort, incoming, response, body)
    })
  }
  const server = createServer((incoming, response) => {
    answer(incoming, response).catch(() => response.destroy())
  })
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve()))
}

const refuse = (incoming: IncomingMessage, response: ServerResponse, { code, status }: Refusal) => {
  incoming.resume()
  response.writeHead(status, { "content-type": "application/xml" })
  const message = `<Error><Code>${code}</Code><Message>${code}</Message></Error>`
  response.end(`<?xml version="1.0" encoding="UTF-8"?>${message}`)
}

/** Framing and signature stay here; what the store gets is the plain body with its checksum. */
const pass = (storePort: number, incoming: IncomingMessage, response: ServerResponse, body: Body) =>
  new Promise<void>((resolve, reject) => {
    const headers: OutgoingHttpHeaders = {
      ...incoming.headers,
      ...body.trailer,
      "content-length": String(body.bytes.length)
    }
    for (const name of ["transfer-encoding", "x-amz-trailer", "x-amz-decoded-content-length", "expect"]) {
      delete headers[name]
    }
    const encoding = (incoming.headers["content-encoding"] ?? "").split(",").filter((one) =>
      one.trim() !== "aws-chunked"
    )
    if (encoding.join("") === "") delete headers["content-encoding"]
    else headers["content-encoding"] = encoding.join(",")
    const onward = httpRequest({ port: storePort, method: incoming.method, path: incoming.url, headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(response).once("close", resolve)
    })
    onward.once("error", reject).end(body.bytes)
  })

const holds = (storePort: number, { headers, url }: Signed) =>
  new Promise<boolean>((resolve, reject) => {
    const host = String(headers.host)
    httpRequest({ port: storePort, method: "HEAD", path: url.split("?", 1)[0], headers: { host } }, (reply) => {
      reply.resume()
      resolve(reply.statusCode === 200)
    }).once("error", reject).end()
  })

const waiting = new Map<string, Promise<void>>()

/** One conditional write of a key at a time, so that of two at once one loses. */
const alone = (key: string, work: () => Promise<void> | void): Promise<void> => {
  const turn = (waiting.get(key) ?? Promise.resolve()).then(work)
  const settled = turn.catch(() => {}).finally(() => waiting.get(key) === settled && waiting.delete(key))
  waiting.set(key, settled as Promise<void>)
  return turn
}
