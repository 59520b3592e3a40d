/** The relay's speakers become global voices, and stay in step with its list. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { BackendUnavailable } from "../../src/domain/Failure.ts"
import { NodeRegistry } from "../../src/services/NodeRegistry.ts"
import * as PresetVoices from "../../src/services/PresetVoices.ts"
import { RelayDispatcher } from "../../src/services/RelayDispatcher.ts"
import { relaySpeaker } from "../../src/services/RelayDispatcher/RelaySpeaker.ts"
import type { PresetListing } from "../../src/services/sql/PresetSync.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"

const unavailable = { available: false, reason: "nobody asks" } as const
const away = new BackendUnavailable({ reasons: ["away"] })

describe("PresetVoices", () => {
  it.effect("describes the relay's speakers, asks again every five minutes, and keeps them while it is away", () =>
    Effect.gen(function*() {
      const synced: Array<ReadonlyArray<PresetListing>> = []
      let asked = 0
      let speakers: ReadonlyArray<string> | undefined = ["Ada"]
      const context = PresetVoices.layer.pipe(
        Layer.provide(Layer.mergeAll(
          Layer.mock(NodeRegistry, {
            presets: Stream.never,
            availability: () => unavailable,
            nodes: () => [],
            count: () => 0,
            note: () => {}
          }),
          Layer.mock(VoiceRepo, {
            syncPresets: (listings) => Effect.sync(() => void synced.push(listings)).pipe(Effect.as([]))
          }),
          Layer.mock(RelayDispatcher, {
            availability: () => unavailable,
            active: () => 0,
            speakers: Effect.suspend(() => {
              asked++
              return speakers === undefined
                ? Effect.fail(away)
                : Effect.succeed(speakers.map((name) => relaySpeaker(name, { gender: "female", languages: ["de-DE"] })))
            })
          })
        ))
      )
      yield* Layer.build(context)
      yield* TestClock.adjust(0)
      assert.deepEqual(synced, [[{
        voiceId: "vox_relay_ada",
        displayName: "Ada",
        description: "Preset speaker of the managed relay.",
        gender: "female",
        languages: ["de"],
        styleTags: [],
        preset: null,
        relaySpeaker: "Ada"
      }]])
      speakers = undefined
      yield* TestClock.adjust("5 minutes")
      yield* TestClock.adjust("1 hour")
      assert.equal(synced.length, 1, "nothing is said of a list that nobody has seen")
      assert.ok(asked > 10 && asked < 80, `asked ${asked} times`)
      speakers = ["Ada", "Bob"]
      yield* TestClock.adjust("1 minute")
      assert.deepEqual(synced[1]!.map(({ relaySpeaker }) => relaySpeaker), ["Ada", "Bob"])
      yield* TestClock.adjust("5 minutes")
      assert.equal(synced.length, 3)
    }))
})
