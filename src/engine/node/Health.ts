/**
 * `grpc.health.v1.Health/Check`, for orchestrators: SERVING until the node drains. Its two messages are small enough to
 * write by hand.
 */
import type { handleUnaryCall, ServiceDefinition } from "@grpc/grpc-js"

const servingStatus = { serving: 1, notServing: 2 } as const
/** Field 1, varint. */
const statusTag = 0x08

export const HealthService: ServiceDefinition = {
  check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    // Which service is asked about does not matter: the node serves one.
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: () => ({}),
    responseSerialize: (serving: boolean) =>
      Buffer.from([statusTag, serving ? servingStatus.serving : servingStatus.notServing]),
    responseDeserialize: (bytes) => bytes[1] === servingStatus.serving
  }
}

export const health = (serving: () => boolean): Record<string, handleUnaryCall<unknown, boolean>> => ({
  check: (_call, reply) => reply(null, serving())
})
