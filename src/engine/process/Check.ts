/** What a call may ask of an engine, by the facts of its model: decided in the node, before its process hears of it. */
import { InvalidRequest } from "../../domain/Failure.ts"
import { Cloning, type SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import type { Facts } from "./Model.ts"

/** Why no node with this model can speak it; `undefined` when one can. */
export const refusal = (request: SynthesizeRequest, facts: Facts): InvalidRequest | undefined =>
  languageRefusal("engine", request.language, facts.languages) ?? voiceRefusal(request, facts)

/** A region or script behind the language does not matter. */
const languageRefusal = (
  who: "engine" | "voice",
  language: string,
  languages: ReadonlyArray<string>
): InvalidRequest | undefined => {
  const [primary = ""] = language.toLowerCase().split(/[-_]/u)
  return primary === "" || languages.length === 0 || languages.includes(primary)
    ? undefined
    : InvalidRequest.field("language", `this ${who} speaks ${listed(languages)}`)
}

const voiceRefusal = ({ language, voice }: SynthesizeRequest, facts: Facts): InvalidRequest | undefined => {
  switch (voice?.$case) {
    case "presetVoice": {
      if (facts.presets.length === 0) break
      const preset = facts.presets.find(({ name }) => name === voice.value)
      if (preset !== undefined) return languageRefusal("voice", language, preset.languages)
      const names = facts.presets.map(({ name }) => name)
      return InvalidRequest.field("voice", `no preset of that name; there are ${listed(names)}`)
    }
    case "reference":
      if (facts.abilities.cloning === Cloning.UNSPECIFIED) break
      return facts.transcriptNeeded && voice.value.transcript.trim() === ""
        ? InvalidRequest.field("reference", "this engine needs the transcript of the clip")
        : undefined
  }
  return InvalidRequest.field(
    "voice",
    facts.presets.length === 0 ? "this engine follows a reference only" : "this engine has preset voices only"
  )
}

/** Wire names of the parameters that were given and change nothing. */
export const ignored = ({ params }: SynthesizeRequest, { honours }: Facts): ReadonlyArray<string> => {
  const given = {
    cfg_value: params?.cfgValue,
    instructions: params?.instructions,
    seed: params?.seed,
    speed: params?.speed
  }
  return (Object.keys(given) as Array<keyof typeof given>).filter((name) =>
    given[name] !== undefined && !honours.includes(name)
  )
}

/** A hundred voices say no more to a reader than twenty do. */
const listedMax = 20
const listed = (names: ReadonlyArray<string>): string =>
  names.length <= listedMax
    ? names.join(", ")
    : `${names.slice(0, listedMax).join(", ")} and ${names.length - listedMax} more`
