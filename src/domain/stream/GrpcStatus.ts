/** How a gRPC call ends that cannot be served (numbers of google.rpc.Code), from the HTTP status of the same failure. */
import { meanings } from "../Failure.ts"
import type { Code } from "../Failure.ts"

export const grpcStatuses = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16
} as const
export type GrpcStatus = keyof typeof grpcStatuses

/** By HTTP status, so that a failure that is declared later needs no entry here. */
const byStatus: Record<number, GrpcStatus> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  405: "UNIMPLEMENTED",
  408: "ABORTED",
  409: "FAILED_PRECONDITION",
  410: "NOT_FOUND",
  413: "RESOURCE_EXHAUSTED",
  415: "INVALID_ARGUMENT",
  422: "INVALID_ARGUMENT",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  501: "UNIMPLEMENTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED"
}

export const grpcStatusOf = (code: Code): GrpcStatus => byStatus[meanings[code].status] ?? "FAILED_PRECONDITION"
