/** Writes the OpenAPI document to `docs/openapi.json`; with `--check`, fails when the one there is not current. */
import { OpenApi } from "effect/http-api"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Api } from "../src/http/Api.ts"

const file = join(import.meta.dirname, "../docs/openapi.json")
const document = `${JSON.stringify(OpenApi.fromApi(Api), null, 2)}\n`

if (!process.argv.includes("--check")) await writeFile(file, document)
else if ((await readFile(file, "utf8").catch(() => "")) !== document) {
  console.error("docs/openapi.json is not current: npm run openapi")
  process.exitCode = 1
}
