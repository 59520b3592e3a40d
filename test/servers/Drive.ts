/**
 * A ScaiDrive of the tests' own on loopback: files by id, for whoever brings a token of the issuer for its audience, and
 * links that behave in every way that links can. Every request is noted.
 */
import { createRemoteJWKSet, jwtVerify } from "jose"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Drive {
  readonly url: string
  readonly audience: string
  /** By id; the owner's `sub` before the slash: `ada/clip`. */
  readonly files: Map<string, Uint8Array>
  readonly links: Map<string, (request: IncomingMessage, response: ServerResponse) => void>
  readonly seen: Array<{ readonly url: string; readonly authorization: string | undefined }>
  /** Connections that are open. */
  readonly open: () => Promise<number>
  readonly stop: () => Promise<void>
}

export const startDrive = async (issuer?: string): Promise<Drive> => {
  const audience = "urn:scaidrive"
  const keys = issuer === undefined ? undefined : createRemoteJWKSet(new URL(`${issuer}/jwks`))
  const files: Drive["files"] = new Map()
  const links: Drive["links"] = new Map()
  const seen: Drive["seen"] = []

  const userOf = async (authorization = "") => {
    if (keys === undefined) return undefined
    const verified = await jwtVerify(authorization.replace(/^Bearer /u, ""), keys, { audience }).catch(() => undefined)
    return verified?.payload.sub
  }

  const server = createServer((request, response) => {
    const url = request.url ?? "/"
    seen.push({ url, authorization: request.headers.authorization })
    const link = links.get(url)
    if (link !== undefined) return link(request, response)
    const id = /^\/api\/v1\/files\/([^/]+)\/content$/u.exec(url)?.[1]
    void userOf(request.headers.authorization).then((user) => {
      if (user === undefined) return response.writeHead(401).end()
      const file = files.get(`${user}/${id}`)
      return file === undefined ? response.writeHead(404).end() : response.end(file)
    })
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    audience,
    files,
    links,
    seen,
    open: () => new Promise((resolve) => server.getConnections((_, count) => resolve(count))),
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped())
        server.closeAllConnections()
      })
  }
}
