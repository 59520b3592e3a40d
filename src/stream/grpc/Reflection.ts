/**
 * Server reflection (`grpc.reflection.v1`, and `v1alpha`, whose messages are the same): a client that knows the address
 * alone learns the contract. It needs no token, as the contract is no secret, and so is bounded: calls, their length and
 * time, and one answer waits for the one before. Descriptors are read when the first client asks.
 */
import { status } from "@grpc/grpc-js"
import type { ServerDuplexStream, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js"
import { Effect, FiberSet } from "effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { isFailure } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { ServerReflectionResponse, ServerReflectionService } from "../../proto/grpc/reflection/v1/reflection.ts"
import type { ServerReflectionRequest } from "../../proto/grpc/reflection/v1/reflection.ts"
import { makeId } from "../../services/Ids.ts"
import { asIs, bounded } from "./Definitions.ts"
import * as Sink from "./Sink.ts"
import { next } from "./Source.ts"
import { statusOf } from "./Status.ts"

type Request = ServerReflectionRequest | Failure
type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>

const descriptorsFile = join(import.meta.dirname, "../../proto/descriptors.binpb")
const callsMax = 64
const callLengthMax = "1 minute"
const requestBytesMax = 4096

const { serverReflectionInfo } = ServerReflectionService
const method = {
  ...serverReflectionInfo,
  requestDeserialize: bounded(serverReflectionInfo.requestDeserialize, requestBytesMax),
  responseSerialize: asIs
}
export const definitions: ReadonlyArray<ServiceDefinition> = [
  { serverReflectionInfo: method },
  { serverReflectionInfo: { ...method, path: method.path.replace(".v1.", ".v1alpha.") } }
]

/** `services`: the definitions that the port serves. */
export const make = Effect.fnUntraced(function*(options: {
  readonly services: ReadonlyArray<ServiceDefinition>
  readonly stallMs: number
}) {
  const contract = yield* Effect.cached(Effect.promise(load))
  const served = options.services.map((service) => ({ name: Object.values(service)[0]!.path.split("/")[1]! }))
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)()
  let calls = 0

  const answer = Effect.fnUntraced(function*({ messageRequest }: ServerReflectionRequest) {
    if (messageRequest?.$case === "listServices") return listed(served)
    const { fileByName, fileBySymbol } = yield* contract
    switch (messageRequest?.$case) {
      case "fileByFilename":
        return found(fileByName(messageRequest.value))
      case "fileContainingSymbol":
        return found(fileBySymbol(messageRequest.value))
      default:
        // The contract extends nothing.
        return refused(messageRequest === undefined ? status.INVALID_ARGUMENT : status.NOT_FOUND)
    }
  })

  const converse = Effect.fnUntraced(function*(call: ServerDuplexStream<Request, Uint8Array>) {
    const requestId = yield* makeId("req")
    const sink = Sink.make(call, { requestId, stallMs: options.stallMs })
    while (true) {
      const request = yield* next(call)
      if (request === null) return void call.end()
      if (isFailure(request)) return void call.emit("error", statusOf(request, requestId))
      const messageResponse = yield* answer(request)
      const reply = { validHost: request.host, originalRequest: request, messageResponse }
      yield* sink.write(ServerReflectionResponse.encode(reply).finish())
    }
  })

  const service: UntypedServiceImplementation = {
    serverReflectionInfo: (call: ServerDuplexStream<Request, Uint8Array>) => {
      if (calls >= callsMax) {
        return void call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: `at most ${callsMax} calls` })
      }
      calls++
      const fiber = fork(
        converse(call).pipe(
          Effect.timeout(callLengthMax),
          Effect.catch(() => Effect.sync(() => Sink.reset(call))),
          Effect.onInterrupt(() => Effect.sync(() => call.end())),
          Effect.ensuring(Effect.sync(() => calls--))
        )
      )
      call.once("cancelled", () => fiber.interruptUnsafe())
    }
  }
  return service
})

const listed = (service: Array<{ name: string }>): Answer => ({ $case: "listServicesResponse", value: { service } })

const found = (fileDescriptorProto: Array<Buffer> | undefined): Answer =>
  fileDescriptorProto === undefined
    ? refused(status.NOT_FOUND)
    : { $case: "fileDescriptorResponse", value: { fileDescriptorProto } }

const refused = (errorCode: status): Answer => ({
  $case: "errorResponse",
  value: { errorCode, errorMessage: "not in the contract" }
})

/** Loaded late: reading descriptors takes more time than a start has for it. */
const load = async () => {
  const { createFileRegistry, fromBinary, toBinary } = await import("@bufbuild/protobuf")
  const { FileDescriptorProtoSchema, FileDescriptorSetSchema } = await import("@bufbuild/protobuf/wkt")
  const { nestedTypes } = await import("@bufbuild/protobuf/reflect")
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(descriptorsFile)))
  type File = NonNullable<ReturnType<typeof registry.getFile>>
  const symbols = new Map<string, File>()
  for (const file of registry.files) {
    for (const type of nestedTypes(file)) {
      symbols.set(type.typeName, file)
      const members = type.kind === "message"
        ? [...type.fields, ...type.oneofs]
        : type.kind === "service"
        ? type.methods
        : []
      for (const { name } of members) symbols.set(`${type.typeName}.${name}`, file)
      // The values of an enum stand beside it.
      const scope = type.typeName.replace(/\.?[^.]+$/u, "")
      for (const { name } of type.kind === "enum" ? type.values : []) symbols.set(`${scope}.${name}`, file)
    }
  }
  /** With everything that it imports. */
  const whole = (file: File, files = new Set<File>()) => {
    files.add(file)
    for (const dependency of file.dependencies) if (!files.has(dependency)) whole(dependency, files)
    return files
  }
  const encoded = (file: File | undefined) =>
    file && Array.from(whole(file), ({ proto }) => Buffer.from(toBinary(FileDescriptorProtoSchema, proto)))
  return {
    fileByName: (name: string) => encoded(registry.getFile(name)),
    fileBySymbol: (symbol: string) => encoded(symbols.get(symbol))
  }
}
