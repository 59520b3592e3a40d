/**
 * What the OpenAPI document says beyond the endpoints' own schemas: one schema for every failure, and the routes that
 * stand beside the API.
 */
import type { OpenApi } from "effect/http-api"

type Spec = Parameters<OpenApi.Transform["Service"]>[0]

/** Where the module is mounted. */
export const mount = "/v1/modules/scaispeak"

/** The generator names a schema anew for each status that it is described for, though the body is the same. */
const mended = (spec: Spec): Spec => {
  const text = JSON.stringify(spec).replaceAll(/#\/components\/schemas\/Failure_\d+/gu, "#/components/schemas/Failure")
  const merged = JSON.parse(text)
  const schemas = merged.components.schemas
  for (const name of Object.keys(schemas)) if (/^Failure_\d+$/u.test(name)) delete schemas[name]
  delete schemas.Failure.description
  // Registered in lower case (RFC 9110 §11.1 compares without case; some readers of the document do not).
  merged.components.securitySchemes.bearer.scheme = "bearer"
  const speak = merged.paths[`${mount}/speak`].post.requestBody.content["application/json"]
  speak.example = { voice_id: "vox_flite_awb", text: "Hello. This is the first sound of ScaiSpeak." }
  return merged
}

const plain = (operationId: string, summary: string, answers: Record<string, string>, contentType: string) => ({
  get: {
    tags: ["system"],
    operationId,
    summary,
    parameters: [],
    security: [],
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, description]) => [
        status,
        {
          description,
          content: { [contentType]: { schema: { type: contentType === "text/plain" ? "string" : "object" } } }
        }
      ])
    )
  }
})

const systemPaths = {
  [`${mount}/healthz`]: plain("system.healthz", "Whether the process lives", { "200": "It does." }, "application/json"),
  [`${mount}/readyz`]: plain(
    "system.readyz",
    "Whether a call could be dispatched now",
    {
      "200": "Ready. `reference_cache` has the `hit_rate` of reference clips (0 to 1; null before the first), and "
        + "`entries` and `bytes` in `memory` and on `disk`.",
      "503": "Not ready; `checks` has one line a dependency."
    },
    "application/json"
  ),
  "/metrics": plain("system.metrics", "Prometheus metrics", { "200": "Text format 0.0.4." }, "text/plain")
}

export const complete = (spec: Spec): Spec => {
  const merged = mended(spec)
  return { ...merged, paths: { ...merged["paths"] as object, ...systemPaths } } as Spec
}
