/**
 * What the routing of a call costs, with the real dispatcher over the real registry in this process.
 *
 * The choice alone stands beside a node drawn by lot. A call through the dispatcher, with its scope, breaker note, reader
 * and deadline, stands beside the same call by grpc-js over the same connections, in blocks that take turns; both are
 * read to their end, one message of audio each. CPU time is this process's, which is what bounds a core.
 */
import { Effect, Layer, References, Stream } from "effect"
import type { Need } from "../../src/domain/AudioNode.ts"
import { Breakers } from "../../src/services/Breakers.ts"
import type { DispatchRequest } from "../../src/services/Dispatch.ts"
import { NodeDirectory } from "../../src/services/NodeDirectory.ts"
import { NodeRegistry } from "../../src/services/NodeRegistry.ts"
import type { AudioNode } from "../../src/services/NodeRegistry/AudioNode.ts"
import { ReferenceCache } from "../../src/services/ReferenceCache.ts"
import { ScaiInferDispatcher } from "../../src/services/ScaiInferDispatcher.ts"
import { voice } from "../../test/layers/voices.ts"
import { launch, median } from "../harness.ts"

const nodeCounts = [1, 8, 64]
const picksEach = 20_000
const callsEach = 320
const rounds = 15

const clip = { pcm: new Uint8Array(0), sha256: "01".repeat(32) }
/** For whatever recording, that clip. */
const clips: ReferenceCache["Service"] = {
  get: () => Effect.succeed(clip),
  prefetch: () => Effect.void,
  drop: () => Effect.void,
  held: () => [],
  stats: () => {
    throw new Error("nobody asks")
  }
}
const needs: ReadonlyArray<readonly [string, Need]> = [
  ["preset voice", { kind: "preset", engine: "fake" }],
  ["cloned voice", { kind: "cloning", engine: "default", sha256: clip.sha256 }]
]
const request: DispatchRequest = {
  requestId: "bench",
  text: "The quick brown fox jumps over the lazy sleeping dog.",
  voice: voice({ preset: { engine: "fake", name: "one" } }),
  language: "en",
  params: {}
}

export const pick = async () => {
  for (const count of nodeCounts) {
    const { greeting } = await launch("fakeNode.ts", "--ports", `${count}`, "--messages", "1", "--bytes", "640")
    const addresses = greeting.split(",")
    await Effect.runPromise(
      overNodes(count).pipe(
        Effect.provide(layer(addresses)),
        Effect.provideService(References.MinimumLogLevel, "Warn")
      )
    )
  }
}

const layer = (addresses: ReadonlyArray<string>) =>
  ScaiInferDispatcher.layer({ chunkTimeoutMs: 15_000, engine: "default" }).pipe(
    Layer.provideMerge(NodeRegistry.layer({ addresses })),
    Layer.provide(NodeDirectory.layerMemory),
    Layer.provide(Breakers.layerMemory({ failures: 3, openMs: 1000 })),
    Layer.provide(Layer.succeed(ReferenceCache, clips))
  )

const overNodes = Effect.fnUntraced(function*(count: number) {
  const registry = yield* NodeRegistry
  const dispatcher = yield* ScaiInferDispatcher
  while (registry.count(needs[0]![1], new Set()) < count) yield* Effect.sleep(10)
  const nodes = registry.nodes()
  const title = `${count} ${count === 1 ? "node" : "nodes"}`

  const lot = () => nodes[Math.floor(Math.random() * nodes.length)]!
  for (const [name, need] of needs) {
    const { ours, theirs } = yield* compare(
      repeat(Effect.suspend(() => registry.pick(need, new Set()))),
      repeat(Effect.sync(lot))
    )
    console.log(
      `pick, ${title}, ${name}: ${median(ours).toFixed(2)} µs; by lot ${median(theirs).toFixed(2)} µs; ` +
        `adds ${medianOf(ours, theirs, (a, b) => a - b).toFixed(2)} µs`
    )
  }

  const through = Effect.scoped(Effect.gen(function*() {
    const began = performance.now()
    const { audio } = yield* dispatcher.dispatch(request, {
      firstAudioMsMax: 15_000,
      tried: new Set(),
      note: () => {}
    })
    let first = 0
    yield* Stream.runForEach(audio, () => Effect.sync(() => first ||= performance.now() - began))
    return first
  }))
  for (const atOnce of [1, 32]) {
    const { ours, theirs } = yield* compare(
      block(Effect.all(Array.from({ length: callsEach }, () => through), { concurrency: atOnce })),
      block(Effect.promise(() => directly(lot, atOnce)))
    )
    const row = (what: string, of: (block: Block) => number) => {
      const [a, b] = [ours.map(of), theirs.map(of)]
      return `${what} ${median(a).toFixed(0)} µs, direct ${median(b).toFixed(0)} µs, ` +
        `adds ${medianOf(a, b, (x, y) => x - y).toFixed(0)} µs, ratio ${medianOf(a, b, (x, y) => x / y).toFixed(2)}`
    }
    console.log(
      `call, ${title}, ${atOnce} at once: ${row("first audio", (of) => of.first)}; ${row("CPU", (of) => of.cpu)}`
    )
  }
})

/** Takes turns, each going first as often as the other; what comes of the warm-up is dropped. */
const compare = Effect.fnUntraced(function*<A>(our: Effect.Effect<A>, their: Effect.Effect<A>) {
  const [ours, theirs]: [Array<A>, Array<A>] = [[], []]
  for (let round = -3; round < rounds; round++) {
    const [first, second] = round % 2 === 0 ? [our, their] : [their, our]
    const pair = [yield* first, yield* second] as const
    if (round < 0) continue
    ours.push(pair[round % 2]!)
    theirs.push(pair[1 - (round % 2)]!)
  }
  return { ours, theirs }
})

const medianOf = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, of: (a: number, b: number) => number) =>
  median(a.map((x, i) => of(x, b[i]!)))

/** µs of CPU that one of many takes. */
const repeat = (once: Effect.Effect<unknown>): Effect.Effect<number> =>
  Effect.gen(function*() {
    const before = process.cpuUsage()
    for (let i = 0; i < picksEach; i++) yield* once
    return cpuSince(before) / picksEach
  })

interface Block {
  /** Median time to the first audio, µs. */
  readonly first: number
  /** CPU time of a call, µs. */
  readonly cpu: number
}

const block = <E>(calls: Effect.Effect<ReadonlyArray<number>, E>): Effect.Effect<Block> =>
  Effect.gen(function*() {
    const before = process.cpuUsage()
    const firsts = yield* Effect.orDie(calls)
    return { first: 1000 * median(firsts), cpu: cpuSince(before) / callsEach }
  })

const cpuSince = (before: NodeJS.CpuUsage) => {
  const { system, user } = process.cpuUsage(before)
  return user + system
}

/** The same calls by grpc-js alone; ms to the first audio of each. */
const directly = async (nodeOf: () => AudioNode, atOnce: number): Promise<ReadonlyArray<number>> => {
  const firsts: Array<number> = []
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let i = 0; i < callsEach / atOnce; i++) firsts.push(await direct(nodeOf()))
  }))
  return firsts
}

const direct = ({ client }: AudioNode): Promise<number> =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    let first = 0
    const call = client.synthesize({
      requestId: "bench",
      engine: "fake",
      text: request.text,
      language: "en",
      voice: { $case: "presetVoice", value: "one" },
      params: undefined
    })
    call.on("data", ({ event }) => {
      if (event?.$case === "audio") first ||= performance.now() - began
    })
    call.once("error", reject)
    call.once("end", () => resolve(first))
  })
