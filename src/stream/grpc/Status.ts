/**
 * A failure as the end of a call: status, and trailers `scaispeak-error-code`, `scaispeak-retry-after` (seconds) and
 * `grpc-status-details-bin`, a google.rpc.Status with ErrorInfo, RetryInfo and BadRequest (google/rpc/error_details.proto).
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire"
import { Metadata } from "@grpc/grpc-js"
import { meanings, show } from "../../domain/Failure.ts"
import type { Code, Detail, Failure } from "../../domain/Failure.ts"
import { grpcStatuses, grpcStatusOf } from "../../domain/stream/GrpcStatus.ts"

export interface Status {
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
}

/** Clients take 8 KiB of trailers by default. */
const violationsMax = 16
const messageCharactersMax = 200

export const statusOf = (failure: Failure, requestId: string): Status => {
  const { code, details = [], message, retryAfter } = show(failure)
  const [first] = details
  return ended(code, first === undefined ? message : `${message} ${short(`${first.field}: ${first.message}`)}`, {
    requestId,
    retryAfter,
    details
  })
}

/** For what is no failure: a defect, or the end of a live session that has said itself what went wrong. */
export const statusOfCode = (code: Code, requestId: string): Status =>
  ended(code, meanings[code].message, { requestId })

const short = (text: string): string => text.slice(0, messageCharactersMax)

const ended = (
  code: Code,
  text: string,
  { details = [], requestId, retryAfter }: {
    readonly requestId: string
    readonly retryAfter?: number | undefined
    readonly details?: ReadonlyArray<Detail>
  }
): Status => {
  const number = grpcStatuses[grpcStatusOf(code)]
  const metadata = new Metadata()
  metadata.set("x-request-id", requestId)
  metadata.set("scaispeak-error-code", code)
  if (retryAfter !== undefined) metadata.set("scaispeak-retry-after", String(Math.ceil(retryAfter)))
  const status = new BinaryWriter().uint32(varint(1)).int32(number).uint32(tag(2)).string(text)
  const any = (type: string, value: BinaryWriter) => {
    const packed = new BinaryWriter().uint32(tag(1)).string(`type.googleapis.com/google.rpc.${type}`)
    status.uint32(tag(3)).bytes(packed.uint32(tag(2)).bytes(value.finish()).finish())
  }
  any("ErrorInfo", new BinaryWriter().uint32(tag(1)).string(code).uint32(tag(2)).string("scaispeak"))
  if (retryAfter !== undefined) {
    const duration = new BinaryWriter().uint32(varint(1)).int64(Math.ceil(retryAfter)).finish()
    any("RetryInfo", new BinaryWriter().uint32(tag(1)).bytes(duration))
  }
  if (details.length > 0) {
    const violations = new BinaryWriter()
    for (const { field, message } of details.slice(0, violationsMax)) {
      const violation = new BinaryWriter().uint32(tag(1)).string(short(field)).uint32(tag(2)).string(short(message))
      violations.uint32(tag(1)).bytes(violation.finish())
    }
    any("BadRequest", violations)
  }
  metadata.set("grpc-status-details-bin", Buffer.from(status.finish()))
  return { code: number, details: text, metadata }
}

/** Wire types: length-delimited is 2, varint 0. */
const tag = (field: number): number => (field << 3) | 2
const varint = (field: number): number => field << 3
