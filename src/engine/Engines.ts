/**
 * The engines that a node is set to load. Each starts in the background; one that cannot be used says so in its state,
 * and the node serves on with the others.
 */
import { Effect, type Scope } from "effect"
import type { Settings } from "../Config.ts"
import type { Engine } from "./Engine.ts"
import * as Espeak from "./Espeak.ts"
import * as Flite from "./Flite.ts"
import * as Sherpa from "./Sherpa.ts"

type EngineSettings = Pick<Settings, "nodeEngines" | "sherpaModel" | "espeakPackage">

/** In the order of the setting: the first is the node's own choice. `workers` are Flite's threads. */
export const load = (
  settings: EngineSettings,
  workers: number
): Effect.Effect<ReadonlyArray<Engine>, never, Scope.Scope> =>
  Effect.forEach([...new Set(settings.nodeEngines)], (name) => start(name, settings, workers))

const start = (
  name: string,
  { espeakPackage, sherpaModel }: EngineSettings,
  workers: number
): Effect.Effect<Engine, never, Scope.Scope> => {
  switch (name) {
    case "flite":
      return Flite.make({ workers })
    case "sherpa":
      return Sherpa.make({ folder: sherpaModel! })
    case "espeak":
      return Espeak.make({ folder: espeakPackage })
    default:
      return Effect.die(`no engine ${name}: the settings let none pass`)
  }
}
