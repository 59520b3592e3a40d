/** The three ways from a client to a node that are compared: gRPC straight to it, a bare proxy, and the gateway. */
import { credentials } from "@grpc/grpc-js"
import { Agent, request } from "node:http"
import { AudioServiceClient } from "../../src/proto/scaiinfer/v1/audio.ts"
import { gateway, launch } from "../harness.ts"

/** A call that speaks. */
export interface Open {
  /** Goes away in mid-speech, as a client does. */
  readonly abandon: () => void
  /** Resolves when all has been heard or the call was abandoned. */
  readonly ended: Promise<void>
}

/** `onAudio` gets the audio in pieces as they come; they need not be the node's messages. */
export type Way = (text: string, onAudio: (pcm: Uint8Array) => void) => Open

export const names = ["direct", "bare proxy", "/speak"] as const
export type Name = (typeof names)[number]

export interface Ways {
  readonly ways: Record<Name, Way>
  /** Of what stands between client and node. */
  readonly pids: Record<Exclude<Name, "direct">, number>
  readonly close: () => void
}

/** Opens the three ways to the node at `address`. */
export const open = async (address: string): Promise<Ways> => {
  const proxy = await launch("proxy.ts", address)
  const { key, pid, url, voice } = await gateway({ SCAISPEAK_NODES: address, SCAISPEAK_LOG_LEVEL: "warning" })
  const client = new AudioServiceClient(address, credentials.createInsecure(), {
    "grpc-node.flow_control_window": 1 << 20
  })
  const agent = new Agent({ keepAlive: true })
  return {
    ways: {
      direct: direct(client),
      "bare proxy": http(agent, `http://127.0.0.1:${proxy.greeting}/`, (text) => ({ text })),
      "/speak": http(agent, `${url}/speak`, (text) => ({ text, voice_id: voice, response_format: "pcm" }), {
        authorization: `Bearer ${key}`
      })
    },
    pids: { "bare proxy": proxy.pid, "/speak": pid },
    close: () => {
      agent.destroy()
      client.close()
    }
  }
}

const direct = (client: AudioServiceClient): Way => (text, onAudio) => {
  const call = client.synthesize({
    requestId: "bench",
    engine: "default",
    text,
    language: "en",
    voice: { $case: "presetVoice", value: "one" },
    params: undefined
  })
  let abandoned = false
  call.on("data", ({ event }) => {
    if (event?.$case === "audio") onAudio(event.value.pcm)
  })
  return {
    abandon: () => {
      abandoned = true
      call.cancel()
    },
    ended: new Promise((resolve, reject) => {
      call.once("end", resolve)
      call.once("error", (error) => abandoned ? resolve() : reject(error))
    })
  }
}

const http = (
  agent: Agent,
  url: string,
  bodyOf: (text: string) => unknown,
  headers: Record<string, string> = {}
): Way =>
(text, onAudio) => {
  const body = JSON.stringify(bodyOf(text))
  const sent = request(url, {
    method: "POST",
    agent,
    headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers }
  })
  let abandoned = false
  const ended = new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => abandoned ? resolve() : reject(error)
    sent.once("response", (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`))
      response.on("data", onAudio).once("error", failed).once("end", resolve)
    })
    sent.once("error", failed)
  })
  sent.end(body)
  return {
    abandon: () => {
      abandoned = true
      sent.destroy()
    },
    ended
  }
}
