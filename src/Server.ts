/** The composition root of `serve`: every layer named once, what is outside at the top, the surfaces at the bottom. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import type { Settings } from "./Config.ts"
import { mount } from "./http/Document.ts"
import * as Http from "./http/Http.ts"
import { Uploads } from "./http/Uploads.ts"
import * as Erasures from "./jobs/Erasures.ts"
import * as Housekeeping from "./jobs/Housekeeping.ts"
import * as SynthJobs from "./jobs/SynthJobs.ts"
import { Accounting } from "./services/Accounting.ts"
import { ApiKeys } from "./services/ApiKeys.ts"
import { AudioDecoder } from "./services/AudioDecoder.ts"
import { AudioEncoder } from "./services/AudioEncoder.ts"
import { Breakers } from "./services/Breakers.ts"
import { ClipFiles } from "./services/ClipFiles.ts"
import { ClipIntake } from "./services/ClipIntake.ts"
import { ClipNormaliser } from "./services/ClipNormaliser.ts"
import { ClipSources } from "./services/ClipSources.ts"
import { ConsentAlignment } from "./services/ConsentAlignment.ts"
import { Consents } from "./services/Consents.ts"
import { Database } from "./services/Database.ts"
import { DriveClips } from "./services/DriveClips.ts"
import { DriveSink } from "./services/DriveSink.ts"
import * as EmbeddedNode from "./services/EmbeddedNode.ts"
import { ErasedClips } from "./services/ErasedClips.ts"
import { Erasure } from "./services/Erasure.ts"
import { GlobalVoices } from "./services/GlobalVoices.ts"
import { Idempotency } from "./services/Idempotency.ts"
import { Identity } from "./services/Identity.ts"
import { JobExpiry } from "./services/JobExpiry.ts"
import { JobQueue } from "./services/JobQueue.ts"
import { JobRepo } from "./services/JobRepo.ts"
import { JobRuns } from "./services/JobRuns.ts"
import { JwtVerifier } from "./services/JwtVerifier.ts"
import { Ledger } from "./services/Ledger.ts"
import { Licences } from "./services/Licences.ts"
import { NodeDirectory } from "./services/NodeDirectory.ts"
import { NodeRegistry } from "./services/NodeRegistry.ts"
import * as FilesystemObjects from "./services/ObjectStore/Filesystem.ts"
import * as S3Objects from "./services/ObjectStore/S3.ts"
import { PendingBlobs } from "./services/PendingBlobs.ts"
import { PolicyResolver } from "./services/PolicyResolver.ts"
import { Preflight } from "./services/Preflight.ts"
import * as PresetVoices from "./services/PresetVoices.ts"
import { RateLimits } from "./services/RateLimits.ts"
import { Readiness } from "./services/Readiness.ts"
import { Recordings } from "./services/Recordings.ts"
import { Redis } from "./services/Redis.ts"
import { ReferenceCache } from "./services/ReferenceCache.ts"
import { RelayDispatcher } from "./services/RelayDispatcher.ts"
import { RunningVoices } from "./services/RunningVoices.ts"
import { SafeHttp } from "./services/SafeHttp.ts"
import { ScaiInferDispatcher } from "./services/ScaiInferDispatcher.ts"
import { Signals } from "./services/Signals.ts"
import { Synthesis } from "./services/Synthesis.ts"
import { SynthesisRecords } from "./services/SynthesisRecords.ts"
import { TokenExchange } from "./services/TokenExchange.ts"
import { VoiceIntake } from "./services/VoiceIntake.ts"
import { VoiceLibrary } from "./services/VoiceLibrary.ts"
import { VoiceRepo } from "./services/VoiceRepo.ts"
import { VoiceWarming } from "./services/VoiceWarming.ts"
import { VoiceWarmRegistry } from "./services/VoiceWarmRegistry.ts"
import { GrpcServer } from "./stream/GrpcServer.ts"
import * as Recorder from "./stream/Recorder.ts"
import { StreamService } from "./stream/StreamService.ts"
import { Sockets } from "./stream/websocket/Sockets.ts"
import * as SpeakRoute from "./stream/websocket/SpeakRoute.ts"
import { serverOptions } from "./stream/websocket/Upgrade.ts"

/** The node program of this very installation, ended by its standard input. */
const nodeCommand = [
  process.execPath,
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "main.ts"),
  "node",
  "--embedded",
  "--listen",
  "127.0.0.1:0"
] as const

/** Everything below the surfaces: what `serve` and `worker` stand on, and what works by itself in both. */
export const foundation = (settings: Settings) => {
  const Outside = Layer.mergeAll(
    Database.layer(settings.databaseUrl),
    settings.s3 === undefined
      ? FilesystemObjects.layer({ folder: join(settings.dataDir, "objects") })
      : S3Objects.layer(settings.s3),
    settings.redisUrl === undefined ? Layer.empty : Redis.layer(settings.redisUrl)
  )

  const State = Layer.mergeAll(
    PolicyResolver.layer,
    ApiKeys.layer,
    Ledger.layer,
    Idempotency.layer,
    Consents.layer,
    PendingBlobs.layer
  ).pipe(
    Layer.provideMerge(RunningVoices.layer),
    Layer.provideMerge(Layer.merge(VoiceRepo.layer, Licences.layer)),
    Layer.provideMerge(Signals.layer)
  )

  const References = ReferenceCache.layer({
    folder: join(settings.dataDir, "cache", "references"),
    memoryBytes: settings.referenceMemoryBytes,
    diskBytes: settings.referenceDiskBytes
  }).pipe(Layer.provideMerge(ClipNormaliser.layer))

  const Callers = Identity.layer.pipe(
    Layer.provide(settings.issuer === undefined ? JwtVerifier.layerNone : JwtVerifier.layer(settings.issuer))
  )

  const Relay = settings.relay === undefined
    ? RelayDispatcher.layerOff
    : RelayDispatcher.layer({
      ...settings.relay,
      chunkTimeoutMs: settings.chunkTimeoutMs
    }).pipe(
      Layer.provide(NodeHttpClient.layerUndici)
    )

  const Backends = Layer.mergeAll(ScaiInferDispatcher.layer(settings), Relay).pipe(
    Layer.provideMerge(NodeRegistry.layer({ addresses: settings.nodes })),
    Layer.provide(NodeDirectory.layer),
    Layer.provideMerge(Breakers.layer(settings.breaker))
  )

  const Background = Layer.mergeAll(
    Housekeeping.layer(settings.jobs),
    PresetVoices.layer,
    settings.embeddedNode
      ? EmbeddedNode.layer({ command: nodeCommand, drainMs: settings.drainMs })
      : Layer.empty
  )

  const Kept = Recordings.layer({ keepMs: settings.recordingKeepMs }).pipe(
    Layer.provideMerge(ClipFiles.layer({ folder: join(settings.dataDir, "uploads") }))
  )

  const Elsewhere = ClipSources.layer.pipe(
    Layer.provide(DriveClips.layer({ url: settings.drive?.url, ...settings.upload })),
    Layer.provide(settings.drive === undefined ? TokenExchange.layerOff : TokenExchange.layer(settings.drive)),
    Layer.provide(SafeHttp.layer(settings.outbound))
  )

  const Clips = ClipIntake.layer.pipe(
    Layer.provide(ConsentAlignment.layer(settings.consentAlignment)),
    Layer.provide(AudioDecoder.layer({ ffmpeg: settings.ffmpeg })),
    Layer.provide(Preflight.layer({ limits: settings.preflight, vadModel: settings.vadModel }))
  )

  const Library = Layer.mergeAll(
    VoiceLibrary.layer,
    GlobalVoices.layer,
    VoiceWarming.layer({ engine: settings.engine }),
    Erasures.layer.pipe(Layer.provideMerge(Erasure.layer), Layer.provide(ErasedClips.layer))
  ).pipe(
    Layer.provideMerge(VoiceWarmRegistry.layer()),
    Layer.provideMerge(VoiceIntake.layer),
    Layer.provideMerge(Elsewhere),
    Layer.provideMerge(Clips)
  )

  const Jobs = Layer.mergeAll(
    JobRepo.layer(settings.jobs).pipe(Layer.provideMerge(JobQueue.layer(settings.jobs))),
    JobRuns.layer,
    JobExpiry.layer,
    DriveSink.layerOff
  )

  const Pipeline = Synthesis.layer(settings).pipe(
    Layer.provide(RateLimits.layer(settings.rateLimits)),
    Layer.provideMerge(Accounting.layer(settings))
  )

  // Provided from the bottom up: what is provided later is built earlier and closed later, so that the surface drains
  // while everything that it stands on still works.
  return SynthJobs.layer(settings.jobs).pipe(
    Layer.provideMerge(AudioEncoder.layer({ workers: settings.encoderWorkers })),
    Layer.provideMerge(Pipeline),
    Layer.provideMerge(Library),
    Layer.provide(Background),
    Layer.provideMerge(Kept),
    Layer.provideMerge(Layer.mergeAll(Backends, Callers)),
    Layer.provideMerge(Jobs),
    Layer.provideMerge(SynthesisRecords.layer),
    Layer.provideMerge(References),
    Layer.provideMerge(State),
    Layer.provideMerge(Outside)
  )
}

/** Live sessions hold their connections for as long as they like: they are asked to come to an end before the surfaces wait. */
const Leave = Layer.effectDiscard(
  Effect.all([StreamService, Sockets]).pipe(
    Effect.flatMap(([{ drain }, { leave }]) => Effect.addFinalizer(() => Effect.andThen(drain, leave)))
  )
)

export const layer = (settings: Settings) => {
  const Beside = {
    routes: Layer.merge(
      SpeakRoute.layer(mount),
      Recorder.layer({ path: `${mount}/voices/record`, referenceMsMax: settings.preflight.durationMsMax })
    ),
    webSocket: serverOptions
  }
  return Leave.pipe(
    Layer.provideMerge(Layer.merge(Http.layer(settings, Beside), GrpcServer.layer(settings))),
    Layer.provideMerge(Layer.merge(StreamService.layer(settings), Sockets.layer(settings))),
    Layer.provide(Readiness.layer({ engine: settings.engine })),
    Layer.provide(Uploads.layer(settings.upload)),
    Layer.provideMerge(foundation(settings))
  )
}
