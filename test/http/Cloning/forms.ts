/** Forms of `POST /voices`, filled in as they should be. */
import { Effect } from "effect"
import { readSpeakers } from "../../engine/fit/clips.ts"
import type { Reply } from "../../layers/TestServer.ts"
import { wavOf } from "../../services/ClipNormaliser/wav.ts"

const { given, unseen } = readSpeakers()[0]!
/** Ten seconds of somebody, full scale 1. */
export const spoken = Float64Array.from([...given, ...unseen].slice(0, 10 * 16_000), (value) => value / 32_768)
/** As a WAV file of 16 kHz, mono, 16 bits. */
export const clip = wavOf({ coding: "s16", sampleRate: 16_000, channels: [spoken] })
/** Three seconds of it. */
export const consentClip = wavOf({ coding: "s16", sampleRate: 16_000, channels: [spoken.slice(0, 48_000)] })

export type Form = Record<string, string | Uint8Array | undefined>

export const design: Form = {
  display_name: "Bright",
  language_primary: "en",
  voice_design_prompt: "A young woman, bright and quick."
}

export const clone: Form = {
  reference: clip,
  consent: consentClip,
  consent_user_full_name: "Ada Lovelace",
  consent_stated_purpose: "audiobooks",
  consent_text: "I agree that my voice is cloned. „Ja“ ",
  display_name: "Ada",
  language_primary: "en"
}

/** What is undefined is left out; bytes go as files. */
export const formData = (form: Form): FormData => {
  const data = new FormData()
  for (const [name, value] of Object.entries(form)) {
    if (value === undefined) continue
    if (typeof value === "string") data.append(name, value)
    else data.append(name, new Blob([Uint8Array.from(value)]), "clip.bin")
  }
  return data
}

export const submit = (
  url: string,
  form: Form,
  key: string,
  headers: Record<string, string> = {},
  method = "POST"
): Effect.Effect<Reply> =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${key}`, ...headers },
      body: formData(form)
    })
    const bytes = Buffer.from(await response.arrayBuffer())
    return { status: response.status, headers: response.headers, bytes, json: JSON.parse(bytes.toString()) }
  })
