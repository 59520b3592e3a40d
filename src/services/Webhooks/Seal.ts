/**
 * Secrets that have to be read again, as they are written to the database: encrypted where the settings have a key, else as
 * they are. What each one belongs to is part of it, so that a row cannot be given another's.
 *
 * AES-256-GCM, 96-bit random IV, 128-bit tag (NIST SP 800-38D); the key is derived from the setting by HKDF-SHA-256.
 */
import { Redacted } from "effect"
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto"

const ivBytes = 12
const tagBytes = 16
const plain = "plain:"
const sealed = "gcm:"

export interface Seal {
  readonly close: (secret: string, owner: string) => string
  /** Undefined: it was written with a key that the settings do not have, or for somebody else. */
  readonly open: (written: string, owner: string) => string | undefined
}

export const make = (setting: Redacted.Redacted | undefined): Seal => {
  const key = setting === undefined
    ? undefined
    : Buffer.from(hkdfSync("sha256", Redacted.value(setting), "", "scaispeak webhook secrets", 32))
  return {
    close: (secret, owner) => {
      if (key === undefined) return plain + secret
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes }).setAAD(Buffer.from(owner))
      const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()])
      return sealed + Buffer.concat([iv, cipher.getAuthTag(), text]).toString("base64")
    },
    open: (written, owner) => {
      if (written.startsWith(plain)) return written.slice(plain.length)
      if (key === undefined || !written.startsWith(sealed)) return undefined
      const bytes = Buffer.from(written.slice(sealed.length), "base64")
      try {
        const iv = bytes.subarray(0, ivBytes)
        const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes })
          .setAAD(Buffer.from(owner))
          .setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
        return decipher.update(bytes.subarray(ivBytes + tagBytes), undefined, "utf8") + decipher.final("utf8")
      } catch {
        return undefined
      }
    }
  }
}
