/** The checker of the arrows sees every way to write an import. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { check } from "../../scripts/arrows.ts"

const service = ["src/services/Voices.ts", ""] as const

describe("npm run arrows", () => {
  const wrong: ReadonlyArray<readonly [what: string, file: string, text: string, names: string]> = [
    ["a value", "src/domain/A.ts", `import { x } from "../services/Voices.ts"`, "src/services/Voices.ts"],
    ["a type", "src/domain/A.ts", `import type { X } from "../services/Voices.ts"`, "src/services/Voices.ts"],
    ["a list over lines", "src/domain/A.ts", `import {\n  x,\n  type Y\n} from "../services/Voices.ts"`, "Voices.ts"],
    ["an export", "src/domain/A.ts", `export * from "../services/Voices.ts"`, "src/services/Voices.ts"],
    ["a bare import", "src/domain/A.ts", `import "../services/Voices.ts"`, "src/services/Voices.ts"],
    [
      "a dynamic import",
      "src/domain/A.ts",
      `const m = await import("../services/Voices.ts")`,
      "src/services/Voices.ts"
    ],
    [
      "a worker's file",
      "src/domain/A.ts",
      `new Worker(new URL("../services/Voices.ts", import.meta.url))`,
      "Voices.ts"
    ],
    ["a clock in the domain", "src/domain/A.ts", `import { hrtime } from "node:process"`, "node:process"],
    ["a surface in a service", "src/services/A.ts", `import { x } from "../http/Api.ts"`, "src/http/Api.ts"],
    ["a surface in another", "src/http/A.ts", `import { x } from "../jobs/Pool.ts"`, "src/jobs/Pool.ts"],
    ["an engine in a service", "src/services/A.ts", `import { x } from "../engine/Engine.ts"`, "src/engine/Engine.ts"],
    ["a surface in the engine", "src/engine/A.ts", `import { x } from "../http/Api.ts"`, "src/http/Api.ts"],
    ["the root", "src/http/A.ts", `import { x } from "../Server.ts"`, "src/Server.ts"],
    ["a test", "src/http/A.ts", `import { x } from "../../test/A.ts"`, "test/A.ts"],
    ["a development tool", "src/http/A.ts", `import { x } from "vitest/node"`, "vitest/node"]
  ]
  for (const [what, file, text, names] of wrong) {
    it(`names a file that imports ${what}`, () => {
      const [line = "", ...more] = check(new Map([[file, text], service]), ["effect"])
      assert.ok(line.startsWith(`${file} imports `) && line.includes(names), line)
      assert.deepEqual(more, [])
    })
  }

  it("lets arrows point down", () => {
    const text = [
      `import { Effect } from "effect"`,
      `import { readFile } from "node:fs/promises"`,
      `import { x } from "../services/Voices.ts"`,
      `// import { x } from "../jobs/Pool.ts"`,
      `import { y } from "./B.ts"`
    ].join("\n")
    assert.deepEqual(check(new Map([["src/http/A.ts", text], ["src/http/B.ts", ""], service]), ["effect"]), [])
  })

  it("names a circle, unless types close it", () => {
    const circle = (back: string) =>
      check(
        new Map([
          ["src/http/A.ts", `import { b } from "./B.ts"`],
          ["src/http/B.ts", `import ${back} from "./A.ts"`]
        ]),
        []
      )
    assert.deepEqual(circle("{ a }"), ["circle: src/http/A.ts → src/http/B.ts → src/http/A.ts"])
    assert.deepEqual(circle("type { A }"), [])
  })

  it("names a file outside every room", () => {
    assert.deepEqual(check(new Map([["src/utils/A.ts", ""]]), []), ["src/utils/A.ts is in no room"])
  })
})
