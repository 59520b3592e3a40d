import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { type Described, read } from "../../../src/engine/flite/Description.ts"

const nothing: Described = {
  gender: undefined,
  age: undefined,
  pitch: 0,
  pace: 0,
  bright: 0,
  warm: 0,
  nasal: 0,
  liveliness: "plain",
  accent: undefined
}

const table: ReadonlyArray<readonly [prompt: string, says: Partial<Described>]> = [
  ["", {}],
  ["zxcv qwer 日本語", {}],
  ["A woman", { gender: "woman" }],
  ["a MAN.", { gender: "man" }],
  ["a man and a woman", {}],
  ["a young woman", { gender: "woman", age: "young" }],
  ["a teenage girl", { gender: "woman", age: "young" }],
  ["a little girl", { gender: "woman", age: "child" }],
  ["an elderly lady", { gender: "woman", age: "old" }],
  ["her grandfather", { gender: undefined, age: "old" }],
  ["a middle-aged man", { gender: "man", age: "middle" }],
  ["a 9-year-old boy", { gender: "man", age: "child" }],
  ["a man, 25 years old", { gender: "man", age: "young" }],
  ["a 40 year old woman", { gender: "woman", age: "middle" }],
  ["woman of 70 years", { gender: "woman", age: "old" }],
  ["deep", { pitch: -1 }],
  ["a low-pitched voice", { pitch: -1 }],
  ["very deep", { pitch: -1.5 }],
  ["slightly high", { pitch: 0.5 }],
  ["not deep", {}],
  ["without a nasal sound", {}],
  ["high energy", { pace: 1, liveliness: "lively" }],
  ["slow and warm", { pace: -1, warm: 1 }],
  ["a brisk pace", { pace: 1 }],
  ["bright and crisp", { bright: 1 }],
  ["dark", { bright: -1 }],
  ["nasal", { nasal: 1 }],
  ["monotone", { liveliness: "flat" }],
  ["expressive", { liveliness: "lively" }],
  ["a Scottish accent", { accent: "scottish" }],
  ["American", { accent: "american" }]
]

describe("a description of a voice", () => {
  for (const [prompt, says] of table) {
    it(`says ${JSON.stringify(says)} in ${JSON.stringify(prompt)}`, () =>
      assert.deepEqual(read(prompt), { ...nothing, ...says }))
  }
})
