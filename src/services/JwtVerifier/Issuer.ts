/**
 * The issuer's name and keys, from its discovery document.
 *
 * The document is read once; keys are kept for ten minutes. Callers that need either at the same time share one request,
 * and one that fails is not tried again within a second.
 */
import { createRemoteJWKSet, errors } from "jose"
import type { RemoteJWKSet } from "jose"

const requestMillisMax = 2_000
const retryAfterMillis = 1_000
const refetchAfterMillisDefault = 5_000
/** A key that the issuer has withdrawn is honoured no longer than this, plus the minute that a token is remembered. */
const keysMillisMax = 600_000

export interface Discovered {
  /** The issuer's own spelling of its name, which `iss` has to match. */
  readonly name: string
  readonly keys: RemoteJWKSet
  /** Where tokens are exchanged; undefined when the issuer does not say, or says an unsafe address. */
  readonly tokenEndpoint: string | undefined
}

export class Issuer {
  readonly #url: string
  readonly #refetchAfterMillis: number
  #discovery: Promise<Discovered> | undefined

  constructor(url: string, refetchAfterMillis = refetchAfterMillisDefault) {
    this.#url = url
    this.#refetchAfterMillis = refetchAfterMillis
  }

  discovered(): Promise<Discovered> {
    if (this.#discovery === undefined) {
      this.#discovery = this.#discover()
      this.#discovery.catch(() => {
        setTimeout(() => this.#discovery = undefined, retryAfterMillis).unref()
      })
    }
    return this.#discovery
  }

  async #discover(): Promise<Discovered> {
    const address = `${withoutSlash(this.#url)}/.well-known/openid-configuration`
    try {
      const response = await fetch(address, { redirect: "error", signal: AbortSignal.timeout(requestMillisMax) })
      if (response.status !== 200) throw new Error(`${address} answered ${response.status}`)
      const { issuer, jwks_uri, token_endpoint } = await response.json() as Record<string, unknown>
      if (typeof issuer !== "string" || !sameIssuer(issuer, this.#url)) {
        throw new Error(`${address} speaks for another issuer: ${issuer}`)
      }
      const keysUrl = new URL(String(jwks_uri))
      const isSafe = ({ protocol }: URL) => protocol === "https:" || protocol === new URL(this.#url).protocol
      if (!isSafe(keysUrl)) {
        throw new Error(`${address} has its keys at an unsafe address: ${keysUrl}`)
      }
      const keys = createRemoteJWKSet(keysUrl, {
        timeoutDuration: requestMillisMax,
        cooldownDuration: this.#refetchAfterMillis,
        cacheMaxAge: keysMillisMax
      })
      const tokenUrl = URL.canParse(String(token_endpoint)) ? new URL(String(token_endpoint)) : undefined
      return { name: issuer, keys, tokenEndpoint: tokenUrl && isSafe(tokenUrl) ? tokenUrl.href : undefined }
    } catch (cause) {
      throw new Error(`no discovery document at ${address}`, { cause })
    }
  }
}

/**
 * Whether a rejection of `jwtVerify` is about the token; all others are about getting the keys. `jose` names what is
 * wrong with a token by subclasses of its error; its plain error, and what `fetch` throws, come from the request.
 */
export const isAboutToken = (cause: unknown): boolean =>
  cause instanceof errors.JOSEError && cause.code !== errors.JOSEError.code &&
  !(cause instanceof errors.JWKSTimeout || cause instanceof errors.JWKSInvalid)

/** A slash at the end, which configuration gains and loses easily, makes no other issuer. */
export const sameIssuer = (a: string | undefined, b: string): boolean =>
  a !== undefined && withoutSlash(a) === withoutSlash(b)

const withoutSlash = (url: string): string => url.replace(/\/$/u, "")
