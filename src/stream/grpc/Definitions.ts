/** Method definitions whose decoders hold messages to a size and whose encoders take what is encoded already. */
import { InvalidRequest, PayloadTooLarge } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"

/** The library would answer what does not decode as an INTERNAL of its own. */
export const bounded = <A>(decode: (bytes: Buffer) => A, bytesMax: number) => (bytes: Buffer): A | Failure => {
  if (bytes.length > bytesMax) {
    return new PayloadTooLarge({ field: "message", reason: `must be at most ${bytesMax} bytes` })
  }
  try {
    return decode(bytes)
  } catch {
    return InvalidRequest.field("message", "must be protobuf")
  }
}

/** Streamed messages are encoded by who writes them: the definition's encoder would copy them once more. */
export const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
