/** Who speaks at the relay: what the configuration names, as the relay describes them, else everybody whom it lists. */
import { Effect } from "effect"
import { HttpClientRequest } from "effect/http"
import type { BackendUnavailable } from "../../domain/Failure.ts"
import { unavailable } from "./Refusal.ts"
import { jsonOf } from "./RelayClient.ts"
import type { RelayClient } from "./RelayClient.ts"
import type { RelayKind } from "./RelayKind.ts"
import { relaySpeaker } from "./RelaySpeaker.ts"
import type { RelaySpeaker } from "./RelaySpeaker.ts"

/** Longest wait for all of it. */
const listTimeoutMs = 5000
/** Every voice of a large account, with its samples and settings. */
const listBytesMax = 16 * 2 ** 20

/**
 * Configured speakers are there whether or not the relay can be asked; what it said of them last is kept while it is away.
 */
export const speakers = (
  client: RelayClient,
  kind: RelayKind,
  configured: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<RelaySpeaker>, BackendUnavailable> => {
  if (configured.length === 0) return listed(client, kind)
  let known: ReadonlyArray<RelaySpeaker> = []
  return Effect.map(
    Effect.orElseSucceed(listed(client, kind), () => known),
    (now) => {
      known = now
      return configured.map((name) => known.find(({ speaker }) => speaker === name) ?? relaySpeaker(name))
    }
  )
}

const notNow = unavailable("the relay does not list its voices now")

const listed = (
  client: RelayClient,
  kind: RelayKind
): Effect.Effect<ReadonlyArray<RelaySpeaker>, BackendUnavailable> =>
  Effect.gen(function*() {
    for (const path of kind.voicePaths) {
      const list = yield* listAt(client, kind, path)
      if (list !== undefined) return list
    }
    return kind.presets
  }).pipe(Effect.timeoutOrElse({ duration: listTimeoutMs, orElse: () => Effect.fail(notNow) }))

/** Undefined where the relay has no such list. */
const listAt = Effect.fnUntraced(function*(client: RelayClient, kind: RelayKind, path: string) {
  const response = yield* client.ask(HttpClientRequest.get(path))
  if (response.status === 404 || response.status === 405) return undefined
  const body = response.status === 200 ? yield* jsonOf(response, listBytesMax, listTimeoutMs) : undefined
  return body === undefined ? yield* notNow : kind.speakersOf(body)
}, Effect.scoped)
