/**
 * What the gateway adds.
 *
 * 1. Time to first audio of `POST /speak`, and of a bare `node:http` + grpc-js proxy, over a direct gRPC call to the same node, interleaved: with the
 *    embedded engine one call at a time, and with 32 callers that always have a call open to a node that takes 200 ms to
 *    its first audio, as engines on an accelerator do; a node that took no time would measure the queue for two cores.
 * 2. Replies a second against an instant node (48 KB in ten messages), as a ratio to a bare `node:http` + grpc-js proxy
 *    in the same run.
 *
 * Parts can be named: `engine`, `concurrent`, `throughput`.
 */
import { credentials } from "@grpc/grpc-js"
import { Agent } from "node:http"
import { AudioServiceClient } from "../src/proto/scaiinfer/v1/audio.ts"
import { gateway, load, median, post, quantile, start, stop } from "./harness.ts"

const tenWords = "The quick brown fox jumps over the lazy sleeping dog."
const connections = 32

const direct = (client: AudioServiceClient, preset: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    let first: number | undefined
    const call = client.synthesize({
      requestId: "bench",
      engine: "default",
      text: tenWords,
      language: "en",
      voice: { $case: "presetVoice", value: preset },
      params: undefined
    })
    call.on("data", ({ event }) => {
      if (event?.$case === "audio") first ??= performance.now() - began
    })
    call.on("error", reject)
    call.on("end", () => resolve(first!))
  })

const added = async (
  name: string,
  env: Record<string, string>,
  preset: string,
  atOnce: number,
  rounds: number
) => {
  const { key, node, url, voice } = await gateway(env)
  const proxy = `http://127.0.0.1:${await start("proxy.ts", node)}/`
  const client = new AudioServiceClient(node, credentials.createInsecure(), {
    "grpc-node.flow_control_window": 1 << 20
  })
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const body = JSON.stringify({ text: tenWords, voice_id: voice, response_format: "pcm" })
  const bareBody = JSON.stringify({ text: tenWords, voice: preset })
  const ways = {
    direct: () => direct(client, preset),
    "bare proxy": async () => (await post(agent, proxy, bareBody)).firstByteMillis,
    "/speak": async () => (await post(agent, `${url}/speak`, body, { authorization: `Bearer ${key}` })).firstByteMillis
  }
  const names = Object.keys(ways) as Array<keyof typeof ways>
  const run = async (count: number) => {
    const measured = { direct: [], "bare proxy": [], "/speak": [] } as Record<keyof typeof ways, Array<number>>
    await Promise.all(Array.from({ length: atOnce }, async () => {
      for (let i = 0; i < count; i++) {
        // Callers that answer to one clock would come in bursts of all of them.
        await new Promise((resume) => setTimeout(resume, atOnce > 1 ? Math.random() * 50 : 0))
        // Each way goes first as often as the others.
        for (let k = 0; k < names.length; k++) {
          const way = names[(i + k) % names.length]!
          measured[way].push(await ways[way]())
        }
      }
    }))
    return measured
  }
  await run(Math.ceil(200 / atOnce))
  const measured = await run(Math.ceil(rounds / atOnce))
  agent.destroy()
  client.close()
  const over = (way: keyof typeof ways, q: number) =>
    (quantile(measured[way], q) - quantile(measured.direct, q)).toFixed(2)
  const row = (way: keyof typeof ways) => `${way} adds p50 ${over(way, 0.5)} ms, p99 ${over(way, 0.99)} ms`
  console.log(
    `first audio, ${name}: ${row("/speak")}; ${row("bare proxy")} (direct p50 ${median(measured.direct).toFixed(2)}, ` +
      `p99 ${quantile(measured.direct, 0.99).toFixed(2)}; ${measured.direct.length} calls each)`
  )
}

const throughput = async () => {
  const node = await start("fakeNode.ts")
  const proxy = `http://127.0.0.1:${await start("proxy.ts", node)}/`
  const { key, url, voice } = await gateway({ SCAISPEAK_NODES: node })
  const body = JSON.stringify({ text: tenWords, voice_id: voice, response_format: "pcm" })
  const through = (agent: Agent) => post(agent, `${url}/speak`, body, { authorization: `Bearer ${key}` })
  const bare = (agent: Agent) => post(agent, proxy, body)
  await load(connections, 3000, through)
  await load(connections, 3000, bare)
  const rounds: Array<{ readonly ours: number; readonly theirs: number }> = []
  for (let i = 0; i < 7; i++) {
    rounds.push({ theirs: await load(connections, 2000, bare) / 2, ours: await load(connections, 2000, through) / 2 })
  }
  const ratio = median(rounds.map(({ ours, theirs }) => ours / theirs))
  console.log(
    `throughput, ${connections} connections: /speak ${median(rounds.map((r) => r.ours)).toFixed(0)} replies/s, ` +
      `bare proxy ${median(rounds.map((r) => r.theirs)).toFixed(0)} replies/s, ratio ${ratio.toFixed(2)}`
  )
}

const parts: Record<string, () => Promise<void>> = {
  engine: () => added("embedded engine, 1 at a time", {}, "awb", 1, 200),
  concurrent: async () => {
    const node = await start("fakeNode.ts", "--delay", "200")
    await added(`node of 200 ms, ${connections} at once`, { SCAISPEAK_NODES: node }, "one", connections, 2400)
  },
  throughput
}

// All of it, or the parts named on the command line.
const asked = process.argv.slice(2)
try {
  for (const part of asked.length > 0 ? asked : Object.keys(parts)) await parts[part]!()
} finally {
  await stop()
}
