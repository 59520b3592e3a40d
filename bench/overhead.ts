/**
 * What the gateway adds.
 *
 * 1. Time to first audio of `POST /speak` over a direct gRPC call to the same node, in interleaved pairs: with the
 *    embedded engine one call at a time, and with a node that answers after 20 ms at 32 calls at once.
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
  pairs: number
) => {
  const { key, node, url, voice } = await gateway(env)
  const client = new AudioServiceClient(node, credentials.createInsecure())
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const body = JSON.stringify({ text: tenWords, voice_id: voice, response_format: "pcm" })
  const speak = async () =>
    (await post(agent, `${url}/speak`, body, { authorization: `Bearer ${key}` })).firstByteMillis
  const burst = (call: () => Promise<number>) => Promise.all(Array.from({ length: atOnce }, call))
  for (let i = 0; i < 10; i++) await Promise.all([burst(speak), burst(() => direct(client, preset))])
  const [through, straight]: [Array<number>, Array<number>] = [[], []]
  for (let i = 0; i < pairs; i++) {
    // Each goes first as often as the other.
    if (i % 2 === 0) straight.push(...await burst(() => direct(client, preset)))
    through.push(...await burst(speak))
    if (i % 2 === 1) straight.push(...await burst(() => direct(client, preset)))
  }
  agent.destroy()
  client.close()
  const row = (q: number) => (quantile(through, q) - quantile(straight, q)).toFixed(2)
  console.log(
    `first audio, ${name}: added p50 ${row(0.5)} ms, p99 ${row(0.99)} ms ` +
      `(direct p50 ${median(straight).toFixed(2)}, p99 ${
        quantile(straight, 0.99).toFixed(2)
      }; ${through.length} calls each)`
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
  engine: () => added("embedded engine, 1 at a time", {}, "awb", 1, 150),
  concurrent: async () => {
    const node = await start("fakeNode.ts", "20")
    await added(`node of 20 ms, ${connections} at once`, { SCAISPEAK_NODES: node }, "one", connections, 60)
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
