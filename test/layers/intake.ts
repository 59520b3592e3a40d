/** What takes clips in, over a folder of its own that goes with the scope. */
import { Effect, Layer, Result } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decode } from "../../src/Config.ts"
import { AudioDecoder } from "../../src/services/AudioDecoder.ts"
import { ClipFiles } from "../../src/services/ClipFiles.ts"
import { ClipIntake } from "../../src/services/ClipIntake.ts"
import { ClipNormaliser } from "../../src/services/ClipNormaliser.ts"
import { ConsentAlignment } from "../../src/services/ConsentAlignment.ts"
import * as FilesystemObjects from "../../src/services/ObjectStore/Filesystem.ts"
import { PendingBlobs } from "../../src/services/PendingBlobs.ts"
import { Preflight } from "../../src/services/Preflight.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-intake-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const { preflight } = Result.getOrThrow(decode({}))

export const clips = ClipIntake.layer.pipe(
  Layer.provide(AudioDecoder.layer({ ffmpeg: "ffmpeg" })),
  Layer.provide(ConsentAlignment.layerOff),
  Layer.provide(Preflight.layer({ limits: preflight, vadModel: undefined })),
  Layer.provideMerge(ClipNormaliser.layer)
)

export const intake = PendingBlobs.layer.pipe(
  Layer.provideMerge(Layer.unwrap(Effect.map(folder, (path) =>
    Layer.mergeAll(
      clips,
      FilesystemObjects.layer({ folder: join(path, "objects") }),
      ClipFiles.layer({ folder: join(path, "uploads") })
    ))))
)
