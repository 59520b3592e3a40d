/** What a program tells the garbage collector: `docs/decisions/0012`. */
import { it } from "@effect/vitest"
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"

const file = join(import.meta.dirname, "../../src/cli/Collector.ts")

it("neither a short buffer that lasts nor a message of audio keeps a long one", async () => {
  const program = `
    const { tuneCollector } = await import(${JSON.stringify(file)})
    tuneCollector()
    // What was begun before is used up.
    for (let i = 0; i < 10_000; i++) Buffer.from("a request")
    const message = Buffer.concat([Buffer.alloc(3195), Buffer.alloc(5)])
    console.log(Buffer.from("a request").buffer.byteLength, message.buffer.byteLength)
  `
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program])
  const [short, long] = stdout.split(" ").map(Number)
  assert.ok(short! <= 1024 && long === 3200, stdout)
})
