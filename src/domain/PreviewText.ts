/** What a preview says: the caller's text, or a sentence in the voice's language. */
import { Schema } from "effect"
import { AudioFormat } from "./AudioFormat.ts"
import { codePoints } from "./SpeakRequest.ts"

/** Code points. */
export const previewCodePointsMax = 300

export const PreviewRequest = Schema.Struct({
  text: Schema.optionalKey(Schema.String.check(Schema.makeFilter(
    (text) => {
      if (text.trim() === "") return "must hold something to say"
      return text.length > 2 * previewCodePointsMax || codePoints(text) > previewCodePointsMax
        ? `must be at most ${previewCodePointsMax} code points`
        : undefined
    },
    { description: `1 to ${previewCodePointsMax} code points, not only white space` }
  ))),
  responseFormat: Schema.optionalKey(AudioFormat)
}).pipe(Schema.encodeKeys({ responseFormat: "response_format" }))

/** By ISO 639-1. Each has a question or a pause in it, so that more than one tone of the voice is heard. */
const sentences: Record<string, string> = {
  ar: "مرحبًا، هكذا يبدو صوتي. هل يعجبك؟",
  bg: "Здравейте, така звучи моят глас. Харесва ли ви?",
  ca: "Hola, així és com sona la meva veu. T'agrada?",
  cs: "Dobrý den, takhle zní můj hlas. Líbí se vám?",
  da: "Hej, sådan lyder min stemme. Kan du lide den?",
  de: "Hallo, so klingt meine Stimme. Gefällt sie dir?",
  el: "Γεια σας, έτσι ακούγεται η φωνή μου. Σας αρέσει;",
  en: "Hello, this is how my voice sounds. Do you like it?",
  es: "Hola, así suena mi voz. ¿Te gusta?",
  et: "Tere, nii kõlab minu hääl. Kas see meeldib sulle?",
  fa: "سلام، صدای من این‌طور است. آیا آن را دوست دارید؟",
  fi: "Hei, tältä ääneni kuulostaa. Pidätkö siitä?",
  fr: "Bonjour, voici le son de ma voix. Est-ce qu'elle vous plaît ?",
  he: "שלום, כך נשמע הקול שלי. האם הוא מוצא חן בעיניך?",
  hi: "नमस्ते, मेरी आवाज़ ऐसी है। क्या यह आपको पसंद है?",
  hr: "Dobar dan, ovako zvuči moj glas. Sviđa li vam se?",
  hu: "Jó napot, így szól a hangom. Tetszik?",
  id: "Halo, beginilah suara saya. Apakah Anda menyukainya?",
  it: "Ciao, questa è la mia voce. Ti piace?",
  ja: "こんにちは、これが私の声です。気に入りましたか。",
  ko: "안녕하세요, 제 목소리는 이렇습니다. 마음에 드시나요?",
  lt: "Laba diena, taip skamba mano balsas. Ar jis jums patinka?",
  lv: "Labdien, tā skan mana balss. Vai tā jums patīk?",
  nb: "Hei, slik høres stemmen min ut. Liker du den?",
  nl: "Hallo, zo klinkt mijn stem. Vind je hem mooi?",
  no: "Hei, slik høres stemmen min ut. Liker du den?",
  pl: "Dzień dobry, tak brzmi mój głos. Podoba ci się?",
  pt: "Olá, é assim que a minha voz soa. Você gosta dela?",
  ro: "Bună ziua, așa sună vocea mea. Vă place?",
  ru: "Здравствуйте, так звучит мой голос. Он вам нравится?",
  sk: "Dobrý deň, takto znie môj hlas. Páči sa vám?",
  sl: "Pozdravljeni, tako zveni moj glas. Vam je všeč?",
  sr: "Добар дан, овако звучи мој глас. Да ли вам се свиђа?",
  sv: "Hej, så här låter min röst. Tycker du om den?",
  th: "สวัสดี นี่คือเสียงของฉัน คุณชอบไหม",
  tr: "Merhaba, sesim böyle. Beğendiniz mi?",
  uk: "Вітаю, так звучить мій голос. Він вам подобається?",
  vi: "Xin chào, giọng nói của tôi nghe như thế này. Bạn có thích không?",
  zh: "你好,这就是我的声音。你喜欢吗?"
}

/** English, spoken as the voice speaks it, where no sentence of its language is at hand. */
export const sentenceIn = (language: string): string => sentences[language] ?? sentences["en"]!
