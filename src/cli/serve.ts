/** `scaispeak serve`: the whole service, and a greeting that ends in sound. */
import { Console, Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { HttpServer } from "effect/http"
import { join, relative } from "node:path"
import { Config } from "../Config.ts"
import type { Settings } from "../Config.ts"
import { TenantId, UserId } from "../domain/Ids.ts"
import { mount } from "../http/Api.ts"
import * as Server from "../Server.ts"
import * as BootstrapKey from "../services/BootstrapKey.ts"
import { NodeRegistry } from "../services/NodeRegistry.ts"
import { RelayDispatcher } from "../services/RelayDispatcher.ts"
import { ScaiInferDispatcher } from "../services/ScaiInferDispatcher.ts"
import { VoiceRepo } from "../services/VoiceRepo.ts"
import { GrpcServer } from "../stream/GrpcServer.ts"
import * as Telemetry from "../Telemetry.ts"

class PortTaken extends Schema.TaggedError<PortTaken>()("PortTaken", {
  address: Schema.String,
  setting: Schema.String
}) {
  override readonly message =
    `${this.address} is taken; stop what listens there or set ${this.setting} (0 = any free port).`
}

const isTaken = (cause: unknown) => (cause as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE"

/** Anybody will do: preset voices are global. */
const nobody = { tenantId: TenantId.make("default"), userId: UserId.make("admin") }

/**
 * A voice to greet with, once a backend can speak it: the library remembers voices of nodes that are still starting.
 * Undefined when there is none within the patience of a reader.
 */
const speakableVoice = Effect.gen(function*() {
  const voices = yield* VoiceRepo
  const dispatchers = [yield* ScaiInferDispatcher, yield* RelayDispatcher]
  const { items } = yield* voices.list(nobody, { kind: "preset", limit: 200 })
  const voice = items.find((item) => dispatchers.some((dispatcher) => dispatcher.availability(item).available))
  return voice === undefined ? yield* Effect.fail("none yet" as const) : voice
}).pipe(
  Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 400 }),
  Effect.orElseSucceed(() => undefined)
)

const greet = Effect.fnUntraced(function*(settings: Settings) {
  const server = yield* HttpServer.HttpServer
  const file = join(settings.dataDir, "bootstrap-key")
  const key = yield* BootstrapKey.ensure({ configured: settings.bootstrapKey, file })
  const url = `http://${settings.host}:${"port" in server.address ? server.address.port : settings.port}`
  const voice = yield* speakableVoice
  const nodes = (yield* NodeRegistry).nodes()
  const lines = [
    "",
    `  ScaiSpeak listens at ${url}`,
    `  API reference        ${url}/docs`,
    `  gRPC                 ${(yield* GrpcServer).address}`,
    `  Engine nodes         ${
      nodes.map(({ address, info }) => `${address}${info ? "" : " (away)"}`).join(", ") || "none"
    }`
  ]
  if (key !== undefined) {
    const kept = settings.bootstrapKey === undefined
    // A key of the environment's is its owner's to show.
    const shown = kept ? Redacted.value(key) : "$SCAISPEAK_BOOTSTRAP_KEY"
    lines.push(
      `  Key                  ${shown}  (super admin of tenant default${
        kept ? `, kept in ${relative(process.cwd(), file)}` : ""
      })`
    )
    if (voice !== undefined) {
      const body = JSON.stringify({ voice_id: voice.voiceId, text: "Hello. This is the first sound of ScaiSpeak." })
      lines.push(
        "",
        "  Hear it:",
        "",
        `curl -sf ${url}${mount}/speak -H "Authorization: Bearer ${shown}" -H 'Content-Type: application/json' ` +
          `-d '${body}' -o hello.mp3`
      )
    }
  }
  if (voice === undefined) lines.push("", "  No backend has brought a voice yet; GET /readyz says what is missing.")
  yield* Console.log(lines.join("\n") + "\n")
})

export const serve = Effect.gen(function*() {
  const settings = yield* Config
  const Greeting = Layer.effectDiscard(Effect.forkScoped(greet(settings)))
  return yield* Layer.launch(
    Greeting.pipe(Layer.provide(Server.layer(settings)), Layer.provide(Telemetry.layer(settings)))
  ).pipe(
    Effect.mapError((error) => {
      if (error._tag === "CannotListen") {
        return new PortTaken({ address: error.address, setting: "SCAISPEAK_GRPC_PORT" })
      }
      if (error._tag !== "ServeError" || !isTaken(error.cause)) return error
      return new PortTaken({ address: `${settings.host}:${settings.port}`, setting: "SCAISPEAK_PORT" })
    })
  )
}).pipe(Effect.provide(Config.layer))
