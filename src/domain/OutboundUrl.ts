/**
 * Whether a URL that a caller gives may be asked at all, told by its text alone. What its name resolves to is looked at
 * when it is connected to (`services/SafeHttp.ts`).
 */
import { Result } from "effect"

export interface OutboundRules {
  /** Ports of https. */
  readonly ports: ReadonlyArray<number>
  /** `host:port` that the operator vouches for: private addresses, any port and plain http are allowed there. */
  readonly vouched: ReadonlyArray<string>
}

export interface OutboundUrl {
  readonly url: URL
  readonly vouched: boolean
}

const urlCharactersMax = 4096

/** `previous`: whence it was redirected. The failure continues "The address …". */
export const decideUrl = (text: string, rules: OutboundRules, previous?: URL): Result.Result<OutboundUrl, string> => {
  if (text.length > urlCharactersMax) return Result.fail(`is longer than ${urlCharactersMax} characters`)
  // White space at the ends, and tabs and line ends anywhere, are dropped by the parser.
  if (/[\s\\\p{Cc}]/u.test(text) || !URL.canParse(text)) return Result.fail("is no URL")
  const url = new URL(text)
  const vouched = rules.vouched.includes(hostAndPort(url))
  if (url.protocol !== "https:" && !(vouched && url.protocol === "http:")) return Result.fail("is not https")
  if (previous?.protocol === "https:" && url.protocol === "http:") return Result.fail("leads from https to http")
  if (url.username !== "" || url.password !== "") return Result.fail("has credentials in it")
  if (!vouched && !rules.ports.includes(portOf(url))) {
    return Result.fail(`has a port other than ${rules.ports.join(", ")}`)
  }
  if (isNumeric(url.hostname) && !writtenPlainly(text, url.hostname)) {
    return Result.fail("has an IP address that is not plainly written")
  }
  return Result.succeed({ url, vouched })
}

/** As `vouched` has them. */
export const hostAndPort = (url: URL): string => `${url.hostname}:${portOf(url)}`

const portOf = ({ port, protocol }: URL) => port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)

/** The parser turns every notation of an IPv4 address (decimal, octal, hex, short) into the plain one. */
const isNumeric = (hostname: string) => /^[\d.]+$/u.test(hostname)

const writtenPlainly = (text: string, hostname: string) => {
  const authority = /^[a-z]+:\/\/([^/?#]*)/iu.exec(text)?.[1] ?? ""
  return authority.replace(/:\d*$/u, "") === hostname
}
