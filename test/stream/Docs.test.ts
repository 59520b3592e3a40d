/** What README and docs say of live speech is what the schemas and the server do. */
import { describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { promisify } from "node:util"
import { closeCodes } from "../../src/domain/stream/CloseCode.ts"
import { asyncApi } from "../../src/stream/AsyncApi.ts"
import { spell } from "../layers/ScriptedNode.ts"
import { idle, TestServer } from "../layers/TestServer.ts"

interface Payload {
  readonly properties: Record<string, unknown>
  readonly required?: ReadonlyArray<string>
}

const { components, operations } = asyncApi({ speak: "/stream/speak", recorder: "/voices/record" })

const fieldsOf = ({ properties, required = [] }: Payload) =>
  Object.keys(properties).filter((name) => name !== "type").map((name) =>
    `\`${name}${required.includes(name) ? "" : "?"}\``
  ).join(", ")

const rows = (from: keyof typeof operations) =>
  operations[from].messages.map(({ $ref }) => {
    const { name, payload, summary } = components.messages[$ref.split("/").at(-1)!] as {
      readonly name: string
      readonly summary: string
      readonly payload: Payload
    }
    return `| ${from === "say" ? "→" : "←"} \`${name}\` | ${
      name === "audio" ? "binary" : fieldsOf(payload)
    } | ${summary} |`
  })

const tables: Record<string, ReadonlyArray<string>> = {
  frames: ["| frame | fields | |", "|---|---|---|", ...rows("say"), ...rows("hear")],
  closes: [
    "| code | |",
    "|---|---|",
    ...Object.entries(closeCodes).map(([code, meaning]) => `| ${code} | ${meaning} |`)
  ]
}

describe("docs/streaming.md", () => {
  it("has the frames and close codes as they are", () => {
    const file = new URL("../../docs/streaming.md", import.meta.url)
    const text = readFileSync(file, "utf8")
    const printed = Object.entries(tables).reduce(
      (text, [name, lines]) =>
        text.replace(
          new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`, "u"),
          (_, before, after) => `${before}\n${lines.join("\n")}\n\n${after}`
        ),
      text
    )
    if (process.env.UPDATE_DOCS) writeFileSync(file, printed)
    else assert.equal(text, printed, "UPDATE_DOCS=1 npx vitest run test/stream/Docs.test.ts brings it up to date")
  })
})

layer(TestServer.layer(), { excludeTestServices: true })("README.md", (it) => {
  it.effect("has a client that speaks", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
      const client = /## Live speech[^]*?```js\n([^]*?)```/u.exec(readme)?.[1]?.replace(
        "vox_flite_slt",
        "vox_scripted_spell"
      )
      assert.ok(client !== undefined && client.trim().split("\n").length <= 11)
      const { stderr, stdout } = yield* Effect.promise(async () =>
        promisify(execFile)(process.execPath, ["--input-type=module", "-e", client], {
          env: {
            SCAISPEAK_URL: `${url.replace("http", "ws")}/stream/speak`,
            SCAISPEAK_KEY: await Effect.runPromise(key("acme", "ada", "tenant_admin"))
          },
          encoding: "buffer",
          timeout: 10_000
        })
      )
      const frames = stderr.toString().trim().split("\n").map((line) => JSON.parse(line))
      assert.equal(frames.at(-1).type, "closed")
      const said = ["Text goes in as it is written. ", "Audio comes out as it is heard."]
      assert.deepEqual(stdout, Buffer.concat(said.map(spell)))
      yield* idle
    }))
})
