/**
 * Signatures of Standard Webhooks 1.0.0: HMAC-SHA-256 over `id.timestamp.body`, as `v1,` and base64, one for each secret
 * that is good, with a space in between. A secret is `whsec_` and the key in base64.
 */
import { createHmac, randomBytes } from "node:crypto"

const prefix = "whsec_"
/** The standard asks for 24 to 64. */
const keyBytes = 32

export interface Message {
  readonly id: string
  /** Epoch s, of the attempt. */
  readonly timestamp: number
  readonly body: Uint8Array
}

export const makeSecret = (): string => prefix + randomBytes(keyBytes).toString("base64")

const signature = (secret: string, { body, id, timestamp }: Message): string => {
  const key = Buffer.from(secret.slice(prefix.length), "base64")
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`
}

/** The headers of a message. */
export const headersOf = (secrets: ReadonlyArray<string>, message: Message) => ({
  "webhook-id": message.id,
  "webhook-timestamp": String(message.timestamp),
  "webhook-signature": secrets.map((secret) => signature(secret, message)).join(" ")
})
