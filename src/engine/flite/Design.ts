/**
 * Turns a description of a voice into numbers. What the words say is done; what they leave open is drawn from the words and
 * the seed, within what is plausible for the speaker they describe; words that mean nothing here are not used.
 *
 * Pure: the same prompt and seed give the same voice everywhere.
 */
import { bandHz } from "../fit/MelEnvelope.ts"
import { bases } from "./Bases.ts"
import { type Described, read } from "./Description.ts"

export interface Design {
  /** A voice inside the build. */
  readonly base: string
  readonly warpPercent: number
  /** Median pitch, Hz. */
  readonly f0Hz: number
  readonly f0Semitones: number
  /** Of durations: 2 is half the pace. */
  readonly stretch: number
  /** Equaliser, dB in each mel band. */
  readonly curveDb: Float64Array
}

/**
 * Pitch: Traunmüller and Eriksson, "The frequency range of the voice fundamental in the speech of male and female adults"
 * (1995), give men 119 Hz and women 207 Hz on average; children of seven to ten lie near 270 Hz. Formants relative to a
 * man's: 1.17 for a woman, 1.3 for a child (Fant, Speech Sounds and Features, 1973), of which the build gives what can
 * still be understood.
 */
const speakers = {
  man: { f0Hz: 115, formants: 1 },
  woman: { f0Hz: 200, formants: 1.17 },
  child: { f0Hz: 270, formants: 1.27 }
} as const

/** Formants of the people behind the voices, relative to a man's. */
const formantsOf: Record<string, number> = { awb: 1, kal16: 1, slt: 1.17 }

/** What age moves: semitones, and factors on formants and pace. */
const ages = {
  young: { semitones: 1.5, formants: 1.02, pace: 1.04 },
  middle: { semitones: -0.5, formants: 1, pace: 1 },
  old: { semitones: -2, formants: 0.98, pace: 0.9 },
  unsaid: { semitones: 0, formants: 1, pace: 1 }
} as const

/** What a word of plain strength moves. */
const semitonesByPitch = 4.5
const formantsByPitch = 0.05
const octavesByPace = 0.38
/** How far a draw goes either way: less where a word has spoken. */
const drawnSemitones = { said: 0.8, unsaid: 2.5 } as const
const drawnPaceOctaves = { said: 0.04, unsaid: 0.1 } as const
const drawnFormants = 0.03
const drawnTiltDb = 1
const drawnLiveliness = 0.15
const livelinessSemitones = { flat: 0.5, plain: 1.4, lively: 2.2 } as const
const f0HzMin = 65
const f0HzMax = 340

/** `seed` is any 32-bit number. */
export const design = (prompt: string, seed: number): Design => {
  const described = read(prompt)
  // All of them, always: a word more moves only what it speaks of.
  const draws = makeDraws(`${prompt}\0${seed}`)
  const speaker = described.age === "child" ? "child" : described.gender ?? (draws.speaker < 0.5 ? "woman" : "man")
  const base = chooseBase(described, speaker, draws.base)
  const age = described.age === "child" ? "unsaid" : described.age ?? "unsaid"
  const { f0Hz, formants } = speakers[speaker]
  const semitones = ages[age].semitones + semitonesByPitch * described.pitch +
    between(draws.pitch) * drawnSemitones[isSaid(described.pitch)]
  const scale = formants * ages[age].formants *
    (1 + formantsByPitch * described.pitch + drawnFormants * between(draws.formants))
  const paceOctaves = octavesByPace * described.pace + between(draws.pace) * drawnPaceOctaves[isSaid(described.pace)]
  return {
    base: base.name,
    warpPercent: within(Math.round((100 * scale) / formantsOf[base.name]!), base.warpPercentMin, base.warpPercentMax),
    f0Hz: within(f0Hz * 2 ** (semitones / 12), f0HzMin, f0HzMax),
    f0Semitones: livelinessSemitones[described.liveliness] * (1 + drawnLiveliness * between(draws.liveliness)),
    stretch: 1 / (ages[age].pace * 2 ** paceOctaves),
    curveDb: timbre(described, drawnTiltDb * between(draws.tilt))
  }
}

const isSaid = (strength: number): "said" | "unsaid" => (strength === 0 ? "unsaid" : "said")

/** A Scot is `awb`, an American is not; a woman is best told by a woman, a child by whoever can rise to it. */
const chooseBase = ({ accent }: Described, speaker: keyof typeof speakers, chance: number) => {
  const shares: Record<string, number> = accent === "scottish"
    ? { awb: 1 }
    : speaker === "man"
    ? { awb: accent === "american" ? 0 : 0.5, kal16: 0.3, slt: 0.2 }
    : { slt: 0.8, kal16: 0.2 }
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0)
  let left = chance * total
  return bases.find(({ name }) => (left -= shares[name] ?? 0) < 0) ?? bases.find(({ name }) => shares[name])!
}

/** dB by frequency: a tilt around 1 kHz, and the regions that words for timbre speak of. */
const timbre = ({ bright, nasal, warm }: Described, tiltDb: number): Float64Array =>
  Float64Array.from(bandHz, (hz) => {
    const octaves = within(Math.log2(hz / 1000), -2.5, 2.5)
    const tilt = (2.5 * bright - 0.8 * warm + tiltDb) * octaves
    const body = 3 * warm * bump(hz, 250, 0.8)
    const nose = nasal * (5 * bump(hz, 1000, 0.4) - 5 * bump(hz, 500, 0.3) - 3 * bump(hz, 2000, 0.4))
    return within(tilt + body + nose, -12, 12)
  })

/** 1 at its middle, falling off over `width` octaves. */
const bump = (hz: number, middleHz: number, width: number): number =>
  Math.exp(-((Math.log2(hz / middleHz) / width) ** 2))

const within = (value: number, min: number, max: number): number => Math.min(Math.max(value, min), max)

/** 0 to 1 as -1 to 1. */
const between = (chance: number): number => 2 * chance - 1

const drawn = ["speaker", "base", "pitch", "formants", "pace", "liveliness", "tilt"] as const

/** A number from 0 to 1 for each: FNV-1a of the words starts Mulberry32, both 32 bits wide and in the public domain. */
const makeDraws = (words: string): Record<(typeof drawn)[number], number> => {
  let state = 0x811c9dc5
  for (const byte of new TextEncoder().encode(words)) state = Math.imul(state ^ byte, 0x01000193)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return Object.fromEntries(drawn.map((name) => [name, next()])) as Record<(typeof drawn)[number], number>
}
