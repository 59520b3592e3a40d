/**
 * Reads what an English description says of a voice: gender, age, pitch, pace, timbre, liveliness, accent. Knows some two
 * hundred words, "very" and "slightly", "not", and ages in years; everything else passes unread.
 */

export interface Described {
  readonly gender: "man" | "woman" | undefined
  readonly age: "child" | "middle" | "old" | "young" | undefined
  /** -1.5 (very deep) to 1.5 (very high); 0 when nothing was said. The same for the others. */
  readonly pitch: number
  /** Above 0 is fast. */
  readonly pace: number
  /** Above 0 is bright, below dark. */
  readonly bright: number
  readonly warm: number
  readonly nasal: number
  readonly liveliness: "flat" | "lively" | "plain"
  readonly accent: "american" | "scottish" | undefined
}

/** Words by what they say. A word may stand in several rows. */
const vocabulary = {
  woman: "woman women female feminine lady girl girls she her hers mother mom mum mommy aunt queen princess actress " +
    "grandmother grandma granny sister daughter soprano alto waitress hostess womanly girlish",
  man:
    "man men male masculine gentleman guy boy boys he his him father dad daddy uncle king prince actor grandfather grandpa " +
    "brother son tenor baritone bass manly boyish bloke dude",
  child: "child children kid kids childlike toddler boy boys girl girls schoolboy schoolgirl",
  teen: "teenage teenager teen adolescent youth",
  young: "young youthful younger student twenties",
  middle: "middle mature adult grown thirties forties fifties",
  old: "old older elderly senior ancient grandmother grandma granny grandfather grandpa sixties seventies eighties",
  low: "deep deeper low lower bass baritone resonant booming gravelly husky",
  high: "high higher soprano squeaky shrill piping falsetto",
  slow: "slow slower slowly unhurried leisurely measured drawling ponderous relaxed sleepy calm soothing",
  fast: "fast faster quick quickly rapid rapidly brisk briskly hurried hasty energetic excited snappy",
  bright: "bright brighter crisp clear sharp sparkling thin tinny cheerful shrill",
  dark: "dark darker muffled dull soft softly husky gloomy smoky velvety",
  warm: "warm warmer rich mellow full smooth soothing velvety cosy cozy gentle friendly",
  nasal: "nasal nasally twangy whiny reedy",
  flat: "flat monotone monotonous robotic deadpan emotionless neutral expressionless",
  lively: "lively expressive animated energetic excited enthusiastic dramatic cheerful melodic theatrical",
  scottish: "scottish scots scotland scotsman scotswoman british britain uk",
  american: "american america usa"
} as const

type Row = keyof typeof vocabulary

const rowsOf = new Map<string, ReadonlyArray<Row>>()
for (const row of Object.keys(vocabulary) as Array<Row>) {
  for (const word of vocabulary[row].split(" ")) rowsOf.set(word, [...(rowsOf.get(word) ?? []), row])
}

const strengths = new Map([
  ...["very", "extremely", "really", "super", "so"].map((word) => [word, 1.5] as const),
  ...["slightly", "somewhat", "bit", "little", "fairly", "quite", "rather"].map((word) => [word, 0.5] as const)
])
const negations = new Set(["not", "no", "without", "never", "isn't", "non"])
/** How strongly a row is spoken of; the last mention holds. */
type Said = Partial<Record<Row, number>>

export const read = (prompt: string): Described => {
  const said: Said = {}
  const years = yearsOf(prompt)
  const words = prompt.toLowerCase().replace(yearsPattern, " ")
    // Here the adjective is not of the pitch.
    .replace(/\bhigh[- ]energy\b/gu, "energetic").replace(/\blow[- ]energy\b/gu, "sleepy")
    .match(/[a-z']+/gu) ?? []
  words.forEach((word, i) => {
    const before = words.slice(Math.max(0, i - 2), i)
    if (before.some((other) => negations.has(other))) return
    for (const row of rowsOf.get(word) ?? []) said[row] = strengths.get(before.at(-1) ?? "") ?? 1
  })
  const age = years === undefined ? ageOf(said) : ageOfYears(years)
  return {
    gender: genderOf(said),
    age,
    pitch: (said.high ?? 0) - (said.low ?? 0),
    pace: (said.fast ?? 0) - (said.slow ?? 0),
    bright: (said.bright ?? 0) - (said.dark ?? 0),
    warm: said.warm ?? 0,
    nasal: said.nasal ?? 0,
    liveliness: (["lively", "flat"] as const).find((manner) => said[manner] !== undefined) ?? "plain",
    accent: (["scottish", "american"] as const).find((accent) => said[accent] !== undefined)
  }
}

const genderOf = ({ man, woman }: Said): Described["gender"] => {
  if ((man === undefined) === (woman === undefined)) return undefined
  return man === undefined ? "woman" : "man"
}

const ageOf = (said: Said): Described["age"] => {
  if (said.teen !== undefined) return "young"
  return (["child", "old", "middle", "young"] as const).find((age) => said[age] !== undefined)
}

const yearsPattern = /\b(\d{1,3})[- ]?(?:years?|yrs?)(?:[- ]?olds?)?\b/giu

const yearsOf = (prompt: string): number | undefined => {
  const found = [...prompt.matchAll(yearsPattern)].at(-1)?.[1]
  return found === undefined ? undefined : Number(found)
}

const ageOfYears = (years: number): Described["age"] =>
  years < 13 ? "child" : years < 30 ? "young" : years < 60 ? "middle" : "old"
