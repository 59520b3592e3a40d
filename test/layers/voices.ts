/** Voices for tests, as the library would hold them. */
import { DateTime } from "effect"
import { VoiceId } from "../../src/domain/Ids.ts"
import type { Voice } from "../../src/domain/Voice.ts"

const then = DateTime.makeUnsafe(0)

export const voice = (fields: Partial<Voice> = {}): Voice => ({
  voiceId: VoiceId.make("vox_scripted_say"),
  displayName: "Scripted",
  description: "",
  scope: "global",
  kind: "preset",
  languagePrimary: "en",
  languageSupported: ["en"],
  gender: "neutral",
  ageHint: null,
  styleTags: [],
  embeddingStatus: "ready",
  statusReason: null,
  ownerUserId: null,
  tenantId: null,
  defaults: {},
  preset: null,
  relaySpeaker: null,
  reference: null,
  designPrompt: null,
  consent: null,
  createdAt: then,
  updatedAt: then,
  ...fields
})

/** A preset of the scripted node. */
export const scripted = (name: string, fields: Partial<Voice> = {}): Voice =>
  voice({ voiceId: VoiceId.make(`vox_scripted_${name}`), preset: { engine: "scripted", name }, ...fields })
