/** Who speaks with a model: a preset for each speaker id, or a reference where the model has no speakers of its own. */
import { Cloning, type SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import type { Preset } from "../Engine.ts"
import type { Facts } from "../process/Model.ts"
import type { Family } from "./ModelFolder.ts"
import type { ModelNotes } from "./ModelNotes.ts"

/** Hz, of every reference. */
const referenceRate = 16000

/** What each family makes of a request besides its text, from the options that its part of sherpa-onnx reads. */
const traits: Readonly<Record<Family, Pick<Facts, "honours" | "transcriptNeeded"> & { readonly cloning: Cloning }>> = {
  vits: { cloning: Cloning.UNSPECIFIED, honours: ["speed"], transcriptNeeded: false },
  matcha: { cloning: Cloning.UNSPECIFIED, honours: ["speed"], transcriptNeeded: false },
  kokoro: { cloning: Cloning.UNSPECIFIED, honours: ["speed"], transcriptNeeded: false },
  kitten: { cloning: Cloning.UNSPECIFIED, honours: ["speed"], transcriptNeeded: false },
  supertonic: { cloning: Cloning.UNSPECIFIED, honours: ["speed", "seed"], transcriptNeeded: false },
  zipvoice: { cloning: Cloning.ZERO_SHOT, honours: ["speed"], transcriptNeeded: true },
  pocket: { cloning: Cloning.ZERO_SHOT, honours: ["seed"], transcriptNeeded: false }
}

export const factsOf = (
  family: Family,
  model: { readonly name: string; readonly version: string; readonly numSpeakers: number; readonly sampleRate: number },
  languages: ReadonlyArray<string>,
  notes: ModelNotes
): Facts => {
  const { cloning, honours, transcriptNeeded } = traits[family]
  return {
    model: model.name,
    modelVersion: model.version,
    languages,
    abilities: { cloning, design: false, nativeWordTimes: false, streaming: true },
    presets: cloning === Cloning.UNSPECIFIED ? presets(Math.max(1, model.numSpeakers), languages, notes) : [],
    sampleRate: model.sampleRate,
    deterministic: notes.deterministic ?? false,
    honours,
    transcriptNeeded
  }
}

const presets = (
  count: number,
  languages: ReadonlyArray<string>,
  { speakers = [] }: ModelNotes
): ReadonlyArray<Preset> =>
  Array.from({ length: count }, (_, id) => {
    const said = speakers[id]
    const speaker = typeof said === "string" ? { name: said } : said
    const name = speaker?.name ?? (count === 1 ? "default" : `speaker-${id}`)
    return {
      name,
      displayName: speaker?.display_name ?? name,
      description: speaker?.description ?? "",
      languages: speaker?.languages ?? languages,
      gender: speaker?.gender ?? "unspecified",
      styleTags: speaker?.style_tags ?? []
    }
  })

/** The request as sherpa-onnx takes it. */
export const generationOf = ({ language, params, voice }: SynthesizeRequest, family: Family, facts: Facts) => ({
  sid: voice?.$case === "presetVoice" ? facts.presets.findIndex(({ name }) => name === voice.value) : 0,
  speed: params?.speed ?? 1,
  ...(voice?.$case === "reference"
    ? {
      referenceAudio: floats(voice.value.pcm),
      referenceSampleRate: referenceRate,
      ...(voice.value.transcript === "" ? {} : { referenceText: voice.value.transcript })
    }
    : {}),
  extra: {
    ...(params?.seed !== undefined && facts.honours.includes("seed") ? { seed: params.seed % 2 ** 31 } : {}),
    ...(family === "supertonic" && language !== "" ? { lang: language.slice(0, 2).toLowerCase() } : {})
  }
})

/** Samples of -1 to 1 from s16le. */
const floats = (pcm: Uint8Array): Float32Array => {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength)
  return Float32Array.from({ length: pcm.byteLength >> 1 }, (_, i) => view.getInt16(2 * i, true) / 32768)
}
