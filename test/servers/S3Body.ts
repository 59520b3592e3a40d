/**
 * Takes the body of a signed S3 request apart: undoes the `aws-chunked` framing and holds the bytes against every hash
 * that came with them, in the headers or in the trailer. The AWS SDK sends a CRC32 with every upload by default.
 */
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import type { Refusal, Signed } from "./S3Signature.ts"

export interface Body {
  readonly bytes: Buffer
  /** `x-amz-checksum-…`, as found in the trailer. */
  readonly trailer: Readonly<Record<string, string>>
}

const unframed = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

export const open = (request: Signed, raw: Buffer): Body | Refusal => {
  const hash = request.headers["x-amz-content-sha256"]
  const framed = hash === unframed
  // Frames with a signature of their own are not sent by the SDK; nothing here could check them.
  if (typeof hash === "string" && hash.startsWith("STREAMING-") && !framed) {
    return { code: "NotImplemented", status: 501 }
  }
  const body = framed ? unframe(raw) : { bytes: raw, trailer: {} }
  if (body === undefined) return { code: "IncompleteBody", status: 400 }
  if (framed && Number(request.headers["x-amz-decoded-content-length"]) !== body.bytes.length) {
    return { code: "IncompleteBody", status: 400 }
  }
  if (typeof hash === "string" && !framed && hash !== "UNSIGNED-PAYLOAD" && hash !== digest("sha256", raw, "hex")) {
    return { code: "XAmzContentSHA256Mismatch", status: 400 }
  }
  const announced = request.headers["x-amz-trailer"]
  if (framed && typeof announced === "string" && body.trailer[announced] === undefined) {
    return { code: "MalformedTrailerError", status: 400 }
  }
  for (const [name, algorithm] of Object.entries(algorithms)) {
    const wanted = body.trailer[name] ?? request.headers[name]
    if (wanted !== undefined && wanted !== algorithm(body.bytes)) return { code: "BadDigest", status: 400 }
  }
  return body
}

const digest = (name: string, bytes: Buffer, encoding: "hex" | "base64") =>
  createHash(name).update(bytes).digest(encoding)

const algorithms: Record<string, (bytes: Buffer) => string> = {
  "x-amz-checksum-crc32": (bytes) => {
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(bytes))
    return sum.toString("base64")
  },
  "x-amz-checksum-sha1": (bytes) => digest("sha1", bytes, "base64"),
  "x-amz-checksum-sha256": (bytes) => digest("sha256", bytes, "base64"),
  "content-md5": (bytes) => digest("md5", bytes, "base64")
}

/** `SIZE CRLF bytes CRLF … 0 CRLF name:value CRLF … CRLF`, sizes in hex. */
const unframe = (raw: Buffer): Body | undefined => {
  const chunks: Array<Buffer> = []
  let at = 0
  while (true) {
    const end = raw.indexOf("\r\n", at)
    if (end < 0) return undefined
    const size = Number.parseInt(raw.toString("latin1", at, end), 16)
    if (!(size >= 0)) return undefined
    if (size === 0) return { bytes: Buffer.concat(chunks), trailer: fields(raw.toString("latin1", end + 2)) }
    const chunk = raw.subarray(end + 2, end + 2 + size)
    at = end + 2 + size + 2
    if (chunk.length < size || raw.toString("latin1", at - 2, at) !== "\r\n") return undefined
    chunks.push(chunk)
  }
}

const fields = (text: string) =>
  Object.fromEntries(
    text.split("\r\n").filter((line) => line.includes(":")).map((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })
  )
