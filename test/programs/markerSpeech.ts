/** What the relay of `twinRelay.ts` says: noise that belongs to one speaker and one text, so that any other shows. */

/** Hz. `kal16` is the engine's own rate, so that either could go on where the other broke. */
const rates: Record<string, number> = { kal16: 16_000, oboe: 24_000, marimba: 24_000 }
export const speakers = Object.keys(rates)

/** Speech at a brisk pace. */
const millisPerCharacter = 30

/** FNV-1a. */
const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}

const made = new Map<string, Buffer>()

/** s16le mono, at {@link rates}. */
export const markerSpeech = (speaker: string, text: string): { readonly pcm: Buffer; readonly sampleRate: number } => {
  const sampleRate = rates[speaker]!
  const key = `${speaker}\n${text}`
  const known = made.get(key)
  if (known !== undefined) return { pcm: known, sampleRate }
  const samples = new Int16Array((text.length * millisPerCharacter * sampleRate) / 1000)
  // Numerical Recipes' generator: any two seeds give other samples from the first on.
  for (let i = 0, state = hash(key); i < samples.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    samples[i] = state >> 16
  }
  const pcm = Buffer.from(samples.buffer)
  made.set(key, pcm)
  return { pcm, sampleRate }
}
