/**
 * `grpc.health.v1.Health`, for orchestrators and balancing clients: what `GET /readyz` says, and NOT_SERVING from the moment
 * the process drains. Needs no token, so a process takes a bounded number of watchers.
 */
import { Metadata, status } from "@grpc/grpc-js"
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js"
import { Effect, FiberSet } from "effect"
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../proto/grpc/health/v1/health.ts"
import type { HealthCheckRequest, HealthCheckResponse, HealthServer } from "../../proto/grpc/health/v1/health.ts"
import { Readiness } from "../../services/Readiness.ts"

const known = ["", "scaispeak.v1.SpeakService"]
const watchersMax = 64
const lookEvery = "1 second"

export const make = Effect.fnUntraced(function*(draining: () => boolean) {
  const readiness = yield* Readiness
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)()
  let watchers = 0

  const look = Effect.suspend(() =>
    draining()
      ? Effect.succeed(ServingStatus.NOT_SERVING)
      : Effect.map(readiness.check, ({ ready }) => ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING)
  )

  const service: HealthServer = {
    check: (
      { request }: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
      reply: sendUnaryData<HealthCheckResponse>
    ) => {
      if (known.includes(request.service)) {
        fork(Effect.map(look, (status) => reply(null, { status })))
      } else reply({ code: status.NOT_FOUND, details: "no such service", metadata: new Metadata() })
    },
    watch: (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
      if (watchers >= watchersMax) {
        const refusal = { code: status.RESOURCE_EXHAUSTED, details: `at most ${watchersMax} watch` }
        return void call.emit("error", refusal)
      }
      watchers++
      let said: ServingStatus | undefined
      const say = (now: ServingStatus) => {
        // One that does not read is told later.
        if (now === said || call.writableNeedDrain) return
        said = now
        call.write({ status: now })
      }
      const here = known.includes(call.request.service) ? look : Effect.succeed(ServingStatus.SERVICE_UNKNOWN)
      const watch = Effect.forever(Effect.andThen(Effect.map(here, say), Effect.sleep(lookEvery))).pipe(
        Effect.ensuring(Effect.sync(() => watchers--))
      )
      const fiber = fork(watch)
      call.once("cancelled", () => fiber.interruptUnsafe())
    }
  }
  return service
})
