/** The REST surface, assembled: API, docs, health and metrics on one router, behind one envelope. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpMiddleware, HttpRouter, UrlParams } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Readiness } from "../services/Readiness.ts"
import { Api, mount } from "./Api.ts"
import * as Authentication from "./Authentication.ts"
import * as DrainingServer from "./DrainingServer.ts"
import * as Envelope from "./Envelope.ts"
import * as Admin from "./handlers/Admin.ts"
import * as Consents from "./handlers/Consents.ts"
import * as Erasure from "./handlers/Erasure.ts"
import * as GlobalVoices from "./handlers/GlobalVoices.ts"
import * as Intake from "./handlers/Intake.ts"
import * as Jobs from "./handlers/Jobs.ts"
import * as Nodes from "./handlers/Nodes.ts"
import * as Speech from "./handlers/Speech.ts"
import type { SpeechOptions } from "./handlers/Speech.ts"
import * as Synths from "./handlers/Synths.ts"
import * as VoicePreview from "./handlers/VoicePreview.ts"
import * as Voices from "./handlers/Voices.ts"
import * as VoiceWarming from "./handlers/VoiceWarming.ts"
import * as ReadinessRoutes from "./Readiness.ts"
import * as Validation from "./Validation.ts"

export interface HttpOptions extends SpeechOptions {
  readonly host: string
  readonly port: number
  /** Largest request body. */
  readonly bodyLimitBytes: number
  /** Longest time that bytes may wait for the client to take one of them. */
  readonly stallMs: number
  /** Time that running requests get at shutdown. */
  readonly drainMs: number
}

/** What other rooms serve on the same port. Its routes may fail with a `Failure`; the envelope answers it. */
export interface Beside<E, R> {
  readonly routes: Layer.Layer<never, E, R>
  /** Of every WebSocket. */
  readonly webSocket: NonNullable<NodeHttpServer.Options["websocket"]>
}

const apiRoutes = (options: SpeechOptions) =>
  HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide([
      Speech.layer(options),
      Jobs.layer,
      Synths.layer,
      Voices.layer,
      Intake.layer,
      VoicePreview.layer,
      VoiceWarming.layer
    ]),
    Layer.provide([Consents.layer, GlobalVoices.layer, Erasure.layer, Admin.layer, Nodes.layer]),
    Layer.provide([Authentication.layer, Validation.layer])
  )

export const routes = (options: SpeechOptions) =>
  Layer.mergeAll(
    apiRoutes(options),
    HttpApiScalar.layer(Api, {
      path: "/docs",
      // No tools of others, and nothing fetched from elsewhere.
      scalar: {
        authentication: { preferredSecurityScheme: "bearer" },
        defaultOpenAllTags: true,
        withDefaultFonts: false,
        customCss: ".scalar-api-reference .api-reference-toolbar, .api-reference-toolbar { display: none }"
      }
    }),
    PrometheusMetrics.layerHttp({ path: "/metrics" }),
    ReadinessRoutes.routes,
    Envelope.layer
  )

/** Serves {@link routes}. At shutdown the process says that it is not ready, then drains, then cuts what is left. */
export const layer = <E, R>(options: HttpOptions, beside: Beside<E, R>) =>
  Layer.effectDiscard(
    // Built after the server, so finalized before it.
    Effect.flatMap(Readiness, ({ stop }) => Effect.addFinalizer(() => stop))
  ).pipe(
    Layer.provideMerge(
      // The built-in access log costs half the throughput; what matters is in metrics, spans and the audit log.
      HttpRouter.serve(Layer.merge(beside.routes, routes(options)), { disableListenLog: true, disableLogger: true })
    ),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(options.bodyLimitBytes))),
    // Sockets may be opened with `?token=`.
    Layer.provide(Layer.succeed(UrlParams.CurrentRedactedNames, ["token"])),
    Layer.provide(HttpMiddleware.layerTracerDisabledForUrls([`${mount}/healthz`, `${mount}/readyz`, "/metrics"])),
    Layer.provideMerge(
      NodeHttpServer.layer(DrainingServer.make(options.stallMs), {
        host: options.host,
        port: options.port,
        gracefulShutdownTimeout: options.drainMs,
        websocket: beside.webSocket
      })
    )
  )
