/** A client of `WS /stream/speak` in the tests' hands, and what has to be gone when it is. */
import { Context, Effect } from "effect"
import { StreamService } from "../../../src/stream/StreamService.ts"
import { Sockets } from "../../../src/stream/websocket/Sockets.ts"
import { idle, TestServer, until } from "../../layers/TestServer.ts"
import { RawClient } from "./RawClient.ts"
import type { ConnectOptions } from "./RawClient.ts"

export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

/** A socket that nothing was said on. */
export const connected = Effect.fnUntraced(function*(options?: ConnectOptions) {
  const { key, url } = yield* TestServer
  const token = options === undefined ? yield* key("acme", "ada", "tenant_admin") : ""
  return yield* Effect.acquireRelease(
    Effect.promise(() => RawClient.connect(url, options ?? { headers: bearer(token) })),
    (client) => Effect.sync(() => client.tcp.destroy())
  )
})

export const openFrame = (voice: string, fields: object = {}) => ({
  type: "open",
  voice_id: `vox_scripted_${voice}`,
  output: { codec: "pcm", sample_rate: 16000 },
  ...fields
})

/** A session that is ready. */
export const opened = Effect.fnUntraced(function*(voice: string, fields: object = {}, options?: ConnectOptions) {
  const client = yield* connected(options)
  client.say(openFrame(voice, fields))
  yield* until(Effect.sync(() => client.of("ready").length), (ready) => ready === 1)
  return client
})

export const sessions = Effect.map(TestServer, ({ context }) => Context.get(context, StreamService).sessions())
export const sockets = Effect.map(TestServer, ({ context }) => Context.get(context, Sockets).count())

/** No session, socket, hold, encoder or engine's call is left. */
export const allFreed = Effect.gen(function*() {
  yield* until(Effect.all([sessions, sockets]), (counts) => counts.every((count) => count === 0))
  yield* idle
})

/** Says a text over a WebSocket of the platform, and gives what came back, once it is closed. */
export const said = (socket: WebSocket, open: object, text: string) =>
  new Promise<{ texts: Array<any>; audio: Array<Uint8Array>; code: number; protocol: string; extensions: string }>(
    (resolve, reject) => {
      const texts: Array<any> = []
      const audio: Array<Uint8Array> = []
      socket.binaryType = "arraybuffer"
      socket.addEventListener("open", () => {
        for (const frame of [{ type: "open", ...open }, { type: "text", delta: text }, { type: "close" }]) {
          socket.send(JSON.stringify(frame))
        }
      })
      socket.addEventListener(
        "message",
        ({ data }) => typeof data === "string" ? texts.push(JSON.parse(data)) : audio.push(new Uint8Array(data))
      )
      socket.addEventListener(
        "close",
        ({ code }) => resolve({ texts, audio, code, protocol: socket.protocol, extensions: socket.extensions })
      )
      socket.addEventListener("error", reject)
    }
  )
