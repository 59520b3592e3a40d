/**
 * Keeps the library's global preset voices in step with what nodes and the relay can speak. Runs in the background.
 *
 * A relay's list is asked for again from time to time; while the relay is away what it listed last stays.
 */
import { Effect, Layer, Schedule, Stream } from "effect"
import { VoiceId } from "../domain/Ids.ts"
import { Gender } from "../domain/Voice.ts"
import type { PresetVoice } from "../proto/scaiinfer/v1/audio.ts"
import { NodeRegistry } from "./NodeRegistry.ts"
import { RelayDispatcher } from "./RelayDispatcher.ts"
import type { RelaySpeaker } from "./RelayDispatcher/RelaySpeaker.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

/** Failures here are a store that is away: worth any number of tries, none of them in a hurry. */
const patiently = Schedule.spaced("2 seconds")

/** A relay that is away, or refuses our key, may stay so for long. */
const morePatiently = Schedule.min([Schedule.exponential("2 seconds"), Schedule.spaced("1 minute")])

/** Speakers come and go at a relay about as often as somebody edits its library. */
const relayListEvery = Schedule.spaced("5 minutes")

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const voices = yield* VoiceRepo
    const nodes = yield* NodeRegistry
    const relay = yield* RelayDispatcher

    yield* nodes.presets.pipe(
      Stream.runForEach((presets) => Effect.retry(voices.syncPresets(presets.map(ofNode)), patiently)),
      Effect.forkScoped
    )
    yield* relay.speakers.pipe(
      Effect.flatMap((speakers) => speakers.length === 0 ? Effect.void : voices.syncPresets(speakers.map(ofRelay))),
      Effect.retry(morePatiently),
      Effect.repeat(relayListEvery),
      Effect.forkScoped
    )
  })
)

/** `vox_` and the parts that name the speaker, in the letters that an id may hold. */
const voiceId = (...parts: ReadonlyArray<string>) =>
  VoiceId.make(`vox_${parts.join("_").toLowerCase().replaceAll(/[^a-z0-9_-]+/gu, "-").slice(0, 60)}`)

const ofNode = (preset: PresetVoice) => ({
  voiceId: voiceId(preset.engine, preset.name),
  displayName: preset.displayName,
  description: preset.description,
  gender: Gender.literals.find((gender) => gender === preset.gender) ?? ("unspecified" as const),
  languages: preset.languages,
  styleTags: preset.styleTags,
  preset: { engine: preset.engine, name: preset.name },
  relaySpeaker: null
})

const ofRelay = ({ speaker, ...listing }: RelaySpeaker) => ({
  ...listing,
  voiceId: voiceId("relay", speaker),
  preset: null,
  relaySpeaker: speaker
})
