/** What a model says to prove that it works, in its own language, and the clip that a cloning model gets for it. */

/** A model may know nothing but its own script. */
const texts: Readonly<Record<string, string>> = {
  ar: "واحد اثنان ثلاثة",
  el: "ένα δύο τρία",
  fa: "یک دو سه",
  he: "אחת שתיים שלוש",
  hi: "एक दो तीन",
  ja: "いち に さん",
  ka: "ერთი ორი სამი",
  kk: "бір екі үш",
  ko: "하나 둘 셋",
  ru: "один два три",
  th: "หนึ่ง สอง สาม",
  uk: "один два три",
  zh: "一二三"
}

export const probeText = (languages: ReadonlyArray<string>): string => texts[languages[0] ?? ""] ?? "One, two, three."

/** Hz, of every reference. */
const sampleRate = 16000
const seconds = 2

/** s16le: a voice-like buzz with a rise and fall of three syllables, at -12 dBFS or so. */
export const probeClip = (): Uint8Array => {
  const samples = Int16Array.from({ length: seconds * sampleRate }, (_, i) => {
    const time = i / sampleRate
    const envelope = Math.sin(Math.PI * 1.5 * time) ** 2
    let sum = 0
    for (let harmonic = 1; harmonic <= 20; harmonic++) sum += Math.sin(2 * Math.PI * 120 * harmonic * time) / harmonic
    return 8000 * envelope * sum
  })
  return new Uint8Array(samples.buffer)
}
export const probeTranscript = "One, two, three."
