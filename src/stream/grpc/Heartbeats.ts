/**
 * `HeartbeatService`: nodes that no configuration names make themselves known.
 *
 * Whoever can announce a node is sent texts to speak: a heartbeat needs the token that gateways and nodes share. Without
 * such a token heartbeats are taken from this machine alone.
 */
import { Metadata, status } from "@grpc/grpc-js"
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js"
import { Effect, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import { heartbeatMillis } from "../../domain/AudioNode.ts"
import type { HeartbeatRequest, HeartbeatResponse, HeartbeatServiceServer } from "../../proto/scaiinfer/v1/heartbeat.ts"
import { NodeRegistry } from "../../services/NodeRegistry.ts"

type Call = ServerUnaryCall<HeartbeatRequest, HeartbeatResponse>

export const make = Effect.fnUntraced(function*(options: { readonly token: Redacted.Redacted | undefined }) {
  const registry = yield* NodeRegistry
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const expected = options.token === undefined ? undefined : digest(`Bearer ${Redacted.value(options.token)}`)
  const isTrusted = (call: Call): boolean =>
    expected === undefined
      ? isLoopback(hostOf(call.getPeer()))
      : timingSafeEqual(expected, digest(String(call.metadata.get("authorization")[0] ?? "")))

  const service: HeartbeatServiceServer = {
    heartbeat: (call: Call, reply: sendUnaryData<HeartbeatResponse>) => {
      const refuse = (code: status, details: string) => reply({ code, details, metadata: new Metadata() })
      if (!isTrusted(call)) return refuse(status.UNAUTHENTICATED, "heartbeats need the token that nodes share")
      const { address, info } = call.request
      if (info === undefined) return refuse(status.INVALID_ARGUMENT, "info: what the node can do is missing")
      const reachable = reachableAt(address, call.getPeer())
      if (reachable === undefined) return refuse(status.INVALID_ARGUMENT, "address: must be host:port")
      run(registry.heard(reachable, info))
      reply(null, { intervalMs: heartbeatMillis })
    }
  }
  return service
})

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** `1.2.3.4:5` and `[::1]:5`. */
const addressPattern = /^(\[[0-9a-f:.]+\]|[^:[\]\s]{1,253}):(\d{1,5})$/iu
const hostOf = (address: string): string => (addressPattern.exec(address)?.[1] ?? "").replace(/^\[|\]$/gu, "")
const isLoopback = (host: string): boolean => host === "::1" || /^(::ffff:)?127\./u.test(host)

/** A node that listens on every address of its machine is reached where its heartbeat came from. */
const reachableAt = (address: string, peer: string): string | undefined => {
  const [, host, port] = addressPattern.exec(address) ?? []
  if (host === undefined || Number(port) > 65535 || Number(port) === 0) return undefined
  if (host !== "0.0.0.0" && host !== "[::]") return address
  const from = hostOf(peer)
  return from.includes(":") ? `[${from}]:${port}` : `${from}:${port}`
}
