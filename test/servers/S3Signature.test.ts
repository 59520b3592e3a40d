/** The two signed requests that Amazon publishes in its S3 API reference pass, and every change to them is refused. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { refusal, type Signed } from "./S3Signature.ts"

const keys = {
  region: "us-east-1",
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
}
const signedAt = Date.parse("2013-05-24T00:00:00Z")
const hour = 3_600_000
const host = "examplebucket.s3.amazonaws.com"
const scope = `${keys.accessKeyId}/20130524/us-east-1/s3/aws4_request`

const withHeader: Signed = {
  method: "GET",
  url: "/test.txt",
  headers: {
    host,
    range: "bytes=0-9",
    "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "x-amz-date": "20130524T000000Z",
    authorization:
      `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41`
  }
}
const link: Signed = {
  method: "GET",
  url: `/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(scope)}` +
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  headers: { host }
}

describe("a signed request", () => {
  const cases: ReadonlyArray<readonly [what: string, request: Signed, now: number, code: string | undefined]> = [
    ["passes", withHeader, signedAt, undefined],
    ["passes as a link", link, signedAt + 23 * hour, undefined],
    ["is refused as a link that expired", link, signedAt + 25 * hour, "AccessDenied"],
    ["is refused when its clock is off", withHeader, signedAt + hour, "RequestTimeTooSkewed"],
    ["is refused with another path", { ...withHeader, url: "/other.txt" }, signedAt, "SignatureDoesNotMatch"],
    ["is refused with another method", { ...link, method: "PUT" }, signedAt, "SignatureDoesNotMatch"],
    [
      "is refused with a longer life",
      { ...link, url: link.url.replace("=86400", "=86401") },
      signedAt,
      "SignatureDoesNotMatch"
    ],
    ["is refused without a signature", { ...withHeader, headers: { host } }, signedAt, "AccessDenied"]
  ]
  for (const [what, request, now, code] of cases) {
    it(what, () => assert.equal(refusal(request, keys, now)?.code, code))
  }

  it("is refused with another secret", () =>
    assert.equal(refusal(withHeader, { ...keys, secretAccessKey: "other" }, signedAt)?.code, "SignatureDoesNotMatch"))
})
