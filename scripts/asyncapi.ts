/** Writes the AsyncAPI document to `docs/asyncapi.json`; with `--check`, fails when the one there is not current. */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { mount } from "../src/http/Api.ts"
import { asyncApi } from "../src/stream/AsyncApi.ts"

const file = join(import.meta.dirname, "../docs/asyncapi.json")
const document = `${
  JSON.stringify(asyncApi({ speak: `${mount}/stream/speak`, recorder: `${mount}/voices/record` }), null, 2)
}\n`

if (!process.argv.includes("--check")) await writeFile(file, document)
else if ((await readFile(file, "utf8").catch(() => "")) !== document) {
  console.error("docs/asyncapi.json is not current: npm run asyncapi")
  process.exitCode = 1
}
