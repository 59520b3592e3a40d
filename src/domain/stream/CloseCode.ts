/** How a connection that carries a session is closed: WebSocket close codes (RFC 6455 §7.4; 4xxx are this service's own). */
import { meanings } from "../Failure.ts"
import type { Code } from "../Failure.ts"

export const closeCodes = {
  1000: "good end",
  1002: "breaks the WebSocket protocol",
  1007: "text that is not UTF-8",
  1008: "too many fragments",
  1009: "frame over 64 KiB",
  1011: "defect",
  1012: "server restarting",
  4400: "bad frame",
  4401: "not authenticated",
  4403: "forbidden",
  4404: "no such voice or session",
  4408: "idle, no open, or not reading",
  4409: "not ready",
  4429: "limited",
  4502: "backend"
} as const
export type CloseCode = keyof typeof closeCodes

/** By HTTP status, so that a failure that is declared later needs no entry here. */
const byStatus: Record<number, CloseCode> = {
  401: 4401,
  403: 4403,
  404: 4404,
  408: 4408,
  409: 4409,
  413: 1009,
  429: 4429,
  500: 1011,
  502: 4502,
  503: 4502,
  504: 4502
}

/** The code that follows an `error` frame. */
export const closeCodeOf = (code: Code): CloseCode =>
  code === "SCAISPEAK_SHUTTING_DOWN" ? 1012 : byStatus[meanings[code].status] ?? 4400
