/** Calls of many callers share a connection: that some hang up, however many, is nothing to the others. */
import { it } from "@effect/vitest"
import { Metadata, Server, ServerCredentials } from "@grpc/grpc-js"
import type { ServerWritableStream } from "@grpc/grpc-js"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { takingCancels } from "../../../src/engine/node/Cancels.ts"
import { AudioServiceService } from "../../../src/proto/scaiinfer/v1/audio.ts"
import type { SynthesizeEvent, SynthesizeRequest } from "../../../src/proto/scaiinfer/v1/audio.ts"
import { connect, start } from "../NodeClient.ts"

/** More than Node takes without being told. */
const cancels = 1200
const atOnce = 50

const unused = () => assert.fail("nobody asks")

it.effect("more than a thousand callers hang up, and one goes on", () =>
  Effect.gen(function*() {
    const server = takingCancels(new Server())
    server.addService(AudioServiceService, {
      // Accepted, and never ended.
      synthesize: (call: ServerWritableStream<SynthesizeRequest, SynthesizeEvent>) => call.sendMetadata(new Metadata()),
      getInfo: unused,
      listVoices: unused
    })
    const port = yield* Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<number>((resolve, reject) =>
          server.bindAsync(
            "127.0.0.1:0",
            ServerCredentials.createInsecure(),
            (error, port) => error ? reject(error) : resolve(port)
          )
        )
      ),
      () => Effect.sync(() => server.forceShutdown())
    )
    const client = yield* connect(`127.0.0.1:${port}`)
    let ended: unknown
    const lasting = start(client, { text: "on and on" })
    lasting.on("error", (error) => ended ??= error)
    const hungUp = Effect.callback<void>((resume) => {
      const call = start(client, { text: "hello" })
      call.on("error", () => resume(Effect.void))
      call.once("metadata", () => call.cancel())
    })
    yield* Effect.all(Array.from({ length: cancels }, () => hungUp), { concurrency: atOnce, discard: true })
    assert.equal(ended, undefined)
    lasting.cancel()
  }))
