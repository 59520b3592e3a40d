/**
 * What a live session's WebSocket costs: from the delta that completes a sentence to its first audio, at a client, with a
 * thousand sessions that each speak two seconds of PCM every eight. Beside it a bare `ws` server that sends the same
 * frames. The engine answers at once, so what is more is what this process adds.
 */
import { WebSocket } from "@effect/platform-node/NodeWS"
import { launch, stop } from "./harness.ts"

const sessions = Number(process.argv[2] ?? 1000)
const rounds = 3
const everyMillis = 8000

const at = (values: ReadonlyArray<number>, share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms))

const open = (url: string) =>
  new Promise<WebSocket>((resolve, reject) => {
    const socket = new WebSocket(url, { headers: { authorization: "Bearer x" }, perMessageDeflate: false })
    socket.on("error", reject)
    socket.on("open", () =>
      socket.send(JSON.stringify({
        type: "open",
        voice_id: "vox_bench",
        output: { codec: "pcm", sample_rate: 16_000 }
      })))
    socket.once("message", () => resolve(socket))
  })

const delta = JSON.stringify({ type: "text", delta: "This is a sentence of the usual length. " })
const flush = JSON.stringify({ type: "flush" })

const measure = async (name: string, url: string) => {
  const usage = async () => JSON.parse(await server.ask("usage")) as { readonly cpuMs: number; readonly rssMb: number }
  const before = await usage()
  const sockets: Array<WebSocket> = []
  for (let i = 0; i < sessions; i++) sockets.push(await open(url))
  const opened = await usage()
  const waits: Array<number> = []
  let bytes = 0
  await Promise.all(sockets.map(async (socket, i) => {
    let sentAt = NaN
    socket.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) return
      bytes += data.length
      if (Number.isNaN(sentAt)) return
      waits.push(performance.now() - sentAt)
      sentAt = NaN
    })
    await sleep((i / sessions) * everyMillis)
    for (let n = 0; n < rounds; n++) {
      sentAt = performance.now()
      socket.send(delta)
      socket.send(flush)
      await sleep(everyMillis)
    }
    socket.close(1000)
  }))
  const after = await usage()
  console.log(
    `${name.padEnd(8)} p50 ${at(waits, 0.5).toFixed(2)}, p99 ${at(waits, 0.99).toFixed(2)}, worst ${
      Math.max(...waits).toFixed(1)
    } ms; ${waits.length} sentences, ${((after.cpuMs - opened.cpuMs) / waits.length).toFixed(2)} ms of CPU and ${
      (bytes / waits.length / 1000).toFixed(0)
    } kB each; ${((1024 * (opened.rssMb - before.rssMb)) / sessions).toFixed(0)} KiB a session`
  )
  return at(waits, 0.99)
}

const server = await launch("socket/server.ts")
try {
  const urls = JSON.parse(server.greeting) as { readonly service: string; readonly bare: string }
  const bare = await measure("bare ws", urls.bare)
  const service = await measure("service", urls.service)
  console.log(`p99 added: ${(service - bare).toFixed(2)} ms`)
} finally {
  await stop()
}
