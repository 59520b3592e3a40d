import { Result } from "effect"
import assert from "node:assert/strict"
import { it } from "vitest"
import { decideUrl } from "../../src/domain/OutboundUrl.ts"

const rules = { ports: [443, 8443], vouched: ["127.0.0.1:9000", "[::1]:9000"] }

const table: ReadonlyArray<readonly [url: string, refusal: string | undefined, previous?: string]> = [
  ["https://example.org/clip.wav?a=b", undefined],
  ["https://example.org:8443/", undefined],
  ["https://bücher.example/", undefined],
  ["https://1.1.1.1/", undefined],
  ["http://127.0.0.1:9000/", undefined],
  ["http://[::1]:9000/", undefined],
  ["http://127.0.0.1:9001/", "is not https"],
  ["http://example.org/", "is not https"],
  ["ftp://127.0.0.1:9000/", "is not https"],
  ["file:///etc/passwd", "is not https"],
  ["gopher://example.org/", "is not https"],
  ["data:text/plain,x", "is not https"],
  ["https://example.org:22/", "has a port other than 443, 8443"],
  ["https://user@example.org/", "has credentials in it"],
  ["https://:secret@example.org/", "has credentials in it"],
  ["https://127.0.0.1:9000@evil.example/", "has credentials in it"],
  ["https://2130706433/", "has an IP address that is not plainly written"],
  ["https://0x7f000001/", "has an IP address that is not plainly written"],
  ["https://0177.0.0.1/", "has an IP address that is not plainly written"],
  ["https://127.1/", "has an IP address that is not plainly written"],
  ["https://1.1/", "has an IP address that is not plainly written"],
  ["https://１２７.0.0.1/", "has an IP address that is not plainly written"],
  ["https:\\\\example.org/", "is no URL"],
  ["https://exa\tmple.org/", "is no URL"],
  [" https://example.org/", "is no URL"],
  ["https://exam ple.org/", "is no URL"],
  ["example.org", "is no URL"],
  ["//example.org/", "is no URL"],
  ["", "is no URL"],
  [`https://example.org/${"a".repeat(4096)}`, "is longer than 4096 characters"],
  ["http://127.0.0.1:9000/", "leads from https to http", "https://example.org/"],
  ["https://example.org/", undefined, "http://127.0.0.1:9000/"]
]

for (const [url, refusal, previous] of table) {
  it(`${JSON.stringify(url.slice(0, 60))} ${refusal ?? "is let through"}`, () => {
    const decided = decideUrl(url, rules, previous === undefined ? undefined : new URL(previous))
    assert.equal(Result.isFailure(decided) ? decided.failure : undefined, refusal)
  })
}
