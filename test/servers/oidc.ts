/** A real OpenID provider (`oidc-provider`) as a program of its own, standing in for ScaiKey. */
import { join } from "node:path"
import { type Guarded, startGuarded } from "./Guarded.ts"

/** See `Guarded` for what each verb does; keys outlive `kill`. */
export interface Oidc extends Guarded {
  /** What tokens name in `iss`, and where discovery begins. */
  readonly issuer: string
  /** A signed access token. `claims` are laid over those that the provider makes. */
  readonly token: (options?: {
    readonly claims?: Record<string, unknown>
    readonly audience?: string
    readonly alg?: "RS256" | "ES256"
    /** Separated by spaces. */
    readonly scope?: string
  }) => Promise<string>
  /** A token with this payload, whatever it says, signed with the provider's own key. */
  readonly sign: (payload: Record<string, unknown>) => Promise<string>
  /** How many tokens were exchanged since the start. */
  readonly exchanges: () => Promise<number>
  /** Signs with new keys from now on; the old ones stay published unless they are withdrawn. */
  readonly rotate: (options?: { readonly withdraw?: boolean }) => Promise<void>
}

/** The one client, which may also exchange tokens. */
export const client = { id: "scaispeak-test", secret: "not-a-secret-at-all" }

export const audience = "urn:scaispeak"

/** Who tokens speak of when nothing else is asked for. */
export const claims = { sub: "user-1", tenant_id: "tenant-1", role: "tenant_user" }

export const startOidc = async (): Promise<Oidc> => {
  const guarded = await startGuarded({
    name: "oidc",
    command: (folder, port) => [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "oidcProgram.ts"),
      String(port),
      folder
    ],
    greeting: "HEAD / HTTP/1.1\r\nhost: oidc\r\nconnection: close\r\n\r\n"
  })
  const issuer = `http://127.0.0.1:${guarded.port}`

  const post = async (path: string, form: Record<string, string>): Promise<string> => {
    const response = await fetch(`${issuer}${path}`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
      body: new URLSearchParams(form)
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`)
    return text
  }

  return {
    ...guarded,
    issuer,
    token: async (options = {}) => {
      const answer = await post("/token", {
        grant_type: "client_credentials",
        resource: options.audience ?? audience,
        scope: options.scope ?? "",
        test_alg: options.alg ?? "RS256",
        test_claims: JSON.stringify({ ...claims, ...options.claims })
      })
      return (JSON.parse(answer) as { access_token: string }).access_token
    },
    sign: (payload) => post("/test/sign", { payload: JSON.stringify(payload) }),
    exchanges: async () => Number(await post("/test/exchanges", {})),
    rotate: async ({ withdraw = false } = {}) => {
      await post(`/test/rotate?withdraw=${withdraw}`, {})
    }
  }
}
