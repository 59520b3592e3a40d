/**
 * Who calls: four tenants with different rights to the two backends, their texts, and the voices that they may have
 * spoken. Every text names its tenant at the end, so that whoever hears any rest of it knows whose it is.
 */
import type { VoiceId } from "../../../src/domain/Ids.ts"
import { VoiceId as Id } from "../../../src/domain/Ids.ts"

interface Tenant {
  readonly allowed: readonly ["A" | "B", ...Array<"A" | "B">]
  /** Voices of its callers, in turn. */
  readonly voices: ReadonlyArray<keyof typeof voices>
  readonly callers: number
}

/** The speaker on engine nodes and at the relay. Flite's `kal16` is the quickest to make: most callers use it. */
export const voices = {
  vox_flite_kal16: { A: "kal16" },
  vox_flite_awb: { A: "awb" },
  vox_flite_rms: { A: "rms" },
  vox_flite_slt: { A: "slt" },
  vox_relay_oboe: { B: "oboe" },
  vox_relay_marimba: { B: "marimba" },
  /** One speaker on both: either may go on where the other broke. */
  vox_both_kal16: { A: "kal16", B: "kal16" },
  /** Two speakers: the one may stand in for the other before anything is heard, and never after. */
  vox_both_oboe: { A: "kal16", B: "oboe" }
} as const satisfies Record<string, { readonly A?: string; readonly B?: string }>

export const speakerOf = (voice: keyof typeof voices, backend: "A" | "B"): string | undefined =>
  (voices[voice] as { readonly A?: string; readonly B?: string })[backend]

export const tenants = {
  alder: {
    allowed: ["A"],
    voices: [
      "vox_flite_kal16",
      "vox_both_kal16",
      "vox_flite_awb",
      "vox_both_oboe",
      "vox_flite_kal16",
      "vox_flite_rms",
      "vox_both_kal16",
      "vox_flite_slt"
    ],
    callers: 14
  },
  birch: {
    allowed: ["B"],
    voices: ["vox_both_kal16", "vox_relay_oboe", "vox_both_oboe", "vox_relay_marimba"],
    callers: 18
  },
  cedar: {
    allowed: ["A", "B"],
    voices: ["vox_both_kal16", "vox_flite_kal16", "vox_both_oboe", "vox_both_kal16", "vox_relay_oboe"],
    callers: 16
  },
  dogwood: {
    allowed: ["B", "A"],
    voices: ["vox_both_kal16", "vox_relay_marimba", "vox_both_oboe", "vox_flite_kal16"],
    callers: 16
  }
} as const satisfies Record<string, Tenant>
export type TenantName = keyof typeof tenants

/** 320 to 350 code points, six sentences. */
export const textsOf = (tenant: TenantName): ReadonlyArray<string> => [
  "The birch canoe slid on the smooth planks before the sun was up. Glue the sheet to the dark blue background, " +
  "and leave it there. It is easy to tell the depth of a well by the sound of a stone. These days a chicken leg is " +
  `a rare dish in our town. Rice is often served in round bowls. That is what they say in ${tenant}.`,
  "The juice of lemons makes fine punch, if there is enough of it. The box was thrown beside the parked truck last " +
  "night. The hogs were fed chopped corn and garbage, as they are every day. Four hours of steady work faced us all. " +
  `A large size in stockings is hard to sell. So it is written in ${tenant}.`
]

export interface Caller {
  readonly tenant: TenantName
  readonly voice: keyof typeof voices
  readonly text: string
  /** ms that it takes between two reads. */
  readonly paceMillis: number
}

export const voiceIdOf = (voice: keyof typeof voices): VoiceId => Id.make(voice)

/** Sixty-four, every eighth of them a slow reader. */
export const callers: ReadonlyArray<Caller> = (Object.keys(tenants) as Array<TenantName>).flatMap((tenant) => {
  const { callers, voices } = tenants[tenant]
  const texts = textsOf(tenant)
  return Array.from({ length: callers }, (_, i): Caller => ({
    tenant,
    voice: voices[i % voices.length]!,
    text: texts[i % texts.length]!,
    paceMillis: i % 8 === 7 ? 60 : 0
  }))
})
