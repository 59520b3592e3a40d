/** The baseline: the least that can stand between HTTP and a node. `node:http`, grpc-js, no checks at all. */
import { credentials } from "@grpc/grpc-js"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { AudioServiceClient } from "../src/proto/scaiinfer/v1/audio.ts"

const client = new AudioServiceClient(process.argv[2]!, credentials.createInsecure(), {
  "grpc-node.flow_control_window": 1 << 20
})

const server = createServer(async (request, response) => {
  const { text, voice = "one" } = JSON.parse(Buffer.concat(await request.toArray()).toString())
  const call = client.synthesize({
    requestId: "proxy",
    engine: "default",
    text,
    language: "en",
    voice: { $case: "presetVoice", value: voice },
    params: undefined
  })
  response.on("close", () => call.cancel())
  call.on("data", ({ event }) => {
    if (event?.$case === "header") response.writeHead(200, { "content-type": "audio/pcm" })
    if (event?.$case === "audio") response.write(event.value.pcm)
  })
  call.on("end", () => response.end())
  call.on("error", () => response.destroy())
})
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port))
process.stdin.resume().once("close", () => process.exit())
