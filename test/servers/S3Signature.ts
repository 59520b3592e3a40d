/**
 * The server's side of AWS Signature Version 4: recomputes the signature of a request, in its header or its query, and
 * says why it is refused. Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

export interface Signed {
  readonly method: string
  /** As sent, still encoded. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

export interface Keys {
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** An S3 error: its code and HTTP status. */
export interface Refusal {
  readonly code: string
  readonly status: number
}

const skewMillis = 15 * 60_000
const longestExpirySeconds = 7 * 24 * 3600

/** `undefined` when the request may pass. */
export const refusal = (request: Signed, keys: Keys, now: number): Refusal | undefined => {
  const url = new URL(request.url, "http://s3")
  const presigned = url.searchParams.has("X-Amz-Signature")
  const claim = presigned ? fromQuery(url.searchParams) : fromHeader(request)
  if (claim === undefined) return { code: "AccessDenied", status: 403 }
  if (claim.accessKeyId !== keys.accessKeyId) return { code: "InvalidAccessKeyId", status: 403 }
  const signedAt = Date.parse(
    claim.date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z")
  )
  if (Number.isNaN(signedAt) || claim.scope !== `${claim.date.slice(0, 8)}/${keys.region}/s3/aws4_request`) {
    return { code: "AuthorizationHeaderMalformed", status: 400 }
  }
  if (claim.expiresSeconds === undefined) {
    if (Math.abs(now - signedAt) > skewMillis) return { code: "RequestTimeTooSkewed", status: 403 }
  } else if (!(claim.expiresSeconds >= 1 && claim.expiresSeconds <= longestExpirySeconds)) {
    return { code: "AuthorizationQueryParametersError", status: 400 }
  } else if (now > signedAt + claim.expiresSeconds * 1000 || signedAt > now + skewMillis) {
    return { code: "AccessDenied", status: 403 }
  }
  if (!claim.signedHeaders.includes("host")) return { code: "AccessDenied", status: 403 }
  const expected = sign(request, url, claim, keys)
  const given = Buffer.from(claim.signature, "hex")
  return given.length === expected.length && timingSafeEqual(given, expected)
    ? undefined
    : { code: "SignatureDoesNotMatch", status: 403 }
}

interface Claim {
  readonly accessKeyId: string
  readonly scope: string
  readonly date: string
  readonly signedHeaders: ReadonlyArray<string>
  readonly signature: string
  readonly payloadHash: string
  readonly expiresSeconds: number | undefined
}

const header = (request: Signed, name: string) => {
  const value = request.headers[name]
  return value === undefined || typeof value === "string" ? value ?? "" : value.join(",")
}

const fromHeader = (request: Signed): Claim | undefined => {
  const parts = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]+)$/.exec(
    header(request, "authorization")
  )
  if (parts === null) return undefined
  const [, accessKeyId = "", scope = "", names = "", signature = ""] = parts
  const payloadHash = header(request, "x-amz-content-sha256")
  const date = header(request, "x-amz-date")
  return {
    accessKeyId,
    scope,
    date,
    signedHeaders: names.split(";"),
    signature,
    payloadHash,
    expiresSeconds: undefined
  }
}

const fromQuery = (query: URLSearchParams): Claim => {
  const get = (name: string) => query.get(`X-Amz-${name}`) ?? ""
  const [accessKeyId = "", ...scope] = get("Credential").split("/")
  return {
    accessKeyId,
    scope: scope.join("/"),
    date: get("Date"),
    signedHeaders: get("SignedHeaders").split(";"),
    signature: get("Signature"),
    payloadHash: query.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD",
    expiresSeconds: Number(get("Expires"))
  }
}

const sign = (request: Signed, url: URL, claim: Claim, keys: Keys): Buffer => {
  const query = [...url.searchParams]
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&")
  const canonical = [
    request.method,
    // S3 signs the path as it was sent.
    request.url.split("?", 1)[0],
    query,
    ...claim.signedHeaders.map((name) => `${name}:${header(request, name).trim().replace(/ +/g, " ")}`),
    "",
    claim.signedHeaders.join(";"),
    claim.payloadHash
  ].join("\n")
  const digest = createHash("sha256").update(canonical).digest("hex")
  const toSign = ["AWS4-HMAC-SHA256", claim.date, claim.scope, digest].join("\n")
  const key = claim.scope.split("/").reduce<Buffer | string>(hmac, `AWS4${keys.secretAccessKey}`)
  return hmac(key, toSign)
}

const hmac = (key: Buffer | string, text: string) => createHmac("sha256", key).update(text).digest()

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
