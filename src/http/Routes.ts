/** Which methods a path takes, for 405 and its `Allow`: the router itself only knows that it found nothing. */
import { FindMyWay } from "effect/http"
import type { HttpMethod } from "effect/http"
import { HttpApi } from "effect/http-api"
import { Api } from "./Api.ts"

const methods: ReadonlyArray<HttpMethod.HttpMethod> = ["GET", "POST", "PUT", "PATCH", "DELETE"]

/** Routes that stand beside the API. */
const plain = [
  "/v1/modules/scaispeak/healthz",
  "/v1/modules/scaispeak/readyz",
  "/v1/modules/scaispeak/stream/speak",
  "/v1/modules/scaispeak/voices/record",
  "/metrics",
  "/docs",
  "/openapi.json"
]

const router = FindMyWay.make<true>()
for (const path of plain) router.on("GET", path as `/${string}`, true)
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ endpoint }) => router.on(endpoint.method, endpoint.path as `/${string}`, true)
})

/** Empty when the path is none of ours. `HEAD` goes where `GET` goes. */
export const allowedMethods = (url: string): ReadonlyArray<string> => {
  const allowed = methods.filter((method) => router.find(method, url) !== undefined) as Array<string>
  return allowed.includes("GET") ? [...allowed, "HEAD"] : allowed
}
