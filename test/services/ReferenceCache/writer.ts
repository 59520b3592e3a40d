/** Writes clips into a folder for as long as it lives; says "writing" when it is about to, a line each. Ended by SIGKILL. */
import { Effect } from "effect"
import { createHash, randomBytes } from "node:crypto"
import * as DiskClips from "../../../src/services/ReferenceCache/DiskClips.ts"

const program = Effect.gen(function*() {
  const disk = yield* DiskClips.make({ folder: process.argv[2]!, bytesMax: 1 << 30 })
  while (true) {
    const pcm = randomBytes(3_840_000)
    const sha256 = createHash("sha256").update(pcm).digest("hex")
    console.log("writing")
    yield* disk.write(randomBytes(32).toString("hex"), { pcm, sha256 })
  }
})

await Effect.runPromise(program)
