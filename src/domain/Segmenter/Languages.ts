/**
 * What a full stop after a word is, by language. Words are in lower case and without their last full stop.
 *
 * The lists are short on purpose: a word in lower case after the stop tells most abbreviations by itself, and an end that
 * is missed makes a longer segment, while one that is wrongly seen makes a pause in the middle of a sentence.
 */

export interface Rules {
  /** Nothing ends here: titles, "e.g.". */
  readonly never: ReadonlySet<string>
  /** An end before a capital: "etc.". */
  readonly ending: ReadonlySet<string>
  /** An end only before one of {@link starters}, as after initials: "No. 5", "3 p.m. The". */
  readonly unsure: ReadonlySet<string>
  /** Words that begin sentences. */
  readonly starters: ReadonlySet<string>
  /** "3." is "third". */
  readonly ordinals: boolean
  /** What ends a sentence here and nowhere else: ";" asks in Greek, ":" is the full stop of Armenian. */
  readonly marks: string
}

const set = (words: string | undefined): ReadonlySet<string> => new Set(words?.split(" "))

interface Lists {
  readonly never?: string
  readonly ending?: string
  readonly unsure?: string
  readonly starters?: string
  readonly ordinals?: true
  readonly marks?: string
}

const lists: Record<string, Lists> = {
  en: {
    never:
      "mr mrs ms mx dr prof st rev hon gen col lt sgt capt cmdr maj gov sen rep pres supt messrs mt ft vs v e.g i.e cf " +
      "viz approx resp yahoo ph.d.s dept univ assn bros incl esp hr",
    ending: "etc al ca misc",
    unsure:
      "no nos fig figs eq sec ch vol pp pg ed eds op jan feb mar apr jun jul aug sep sept oct nov dec inc ltd co corp " +
      "llc jr sr a.m p.m ave blvd rd est ext tel min max",
    starters:
      "a an the he she it they we you i this that these those there here his her its their our my your in on at by " +
      "for from with after before when while if as but and so or yet then now what who where why how however although no " +
      "yes not all some many most both each one let please do did does is are was were can could would should will have " +
      "has had later today next finally also"
  },
  de: {
    never:
      "dr prof hr fr hrn st dipl ing mag ca bzw vgl sog inkl exkl evtl ggf gem allg bspw insb ggü zzgl abzgl z.b d.h " +
      "u.a i.d.r o.ä u.ä z.t v.a i.a m.e s.o s.u z.zt u.u i.v geb gest röm kath ev phil med jur rer nat dipl.-ing " +
      "mind max min durchschn einschl dgl mio mrd tsd jh jhd",
    ending: "usw etc ff u.s.w",
    unsure: "nr abb tab art abs kap s bd aufl jan feb mär apr jun jul aug sep sept okt nov dez tel str co",
    starters:
      "der die das ein eine er sie es wir ihr ich du dies dieser diese dieses dann da dort hier aber und oder doch " +
      "so wenn als während nachdem weil obwohl jetzt nun heute gestern morgen später danach auch nicht kein keine was wer " +
      "wo wie warum in im am an auf bei mit nach von vor zu zum zur für man alle viele manche sein seine ihre",
    ordinals: true
  },
  fr: {
    never: "m mm mr mme mmes mlle dr pr me mgr st ste cf p.ex c.-à-d c.-à.-d av env ex fém masc adj chap éd",
    ending: "etc",
    unsure: "no n° nº p pp vol fig art tél bd janv févr avr juil sept oct nov déc",
    starters:
      "le la les l un une des il elle ils elles on nous vous je tu ce cet cette ces ça c dans sur en au aux par pour " +
      "avec mais et ou donc or ni car puis alors quand si comme après avant ensuite enfin voici voilà qui que quoi où " +
      "pourquoi comment son sa ses leur leurs mon ma mes oui non"
  },
  es: {
    never:
      "sr sra srta sres dr dra prof profa d dña ud uds vd vds lic ing arq gral cnel tte p.ej ej avda av gto aprox máx mín ee",
    ending: "etc",
    unsure:
      "n.º núm nº no pág págs art fig cap vol tel ene feb mar abr jun jul ago sep sept oct nov dic ee.uu uu a.c d.c",
    starters:
      "el la los las un una unos unas él ella ellos ellas nosotros yo tú usted este esta esto estos estas ese esa eso " +
      "en de a por para con sin pero y o si cuando como luego después antes entonces ahora hoy ayer no sí qué quién dónde " +
      "su sus mi se lo hay es fue"
  },
  it: {
    never:
      "sig sigg sig.ra sig.na dott dott.ssa prof prof.ssa avv ing arch geom rag on sen mons s p.es es cfr ca spett egr gent",
    ending: "ecc etc",
    unsure: "n pag pagg art fig cap vol tel gen feb mar apr mag giu lug ago set ott nov dic a.c d.c s.p.a",
    starters:
      "il lo la i gli le l un uno una egli lui lei noi voi loro io tu questo questa questi queste quello quella in di a " +
      "da con su per tra fra ma e o se quando come poi dopo prima allora ora oggi ieri non sì che chi dove perché si è"
  },
  nl: {
    never:
      "dhr mevr mw dr drs ir ing mr prof ds bijv bv b.v d.w.z o.a m.b.t t.o.v i.p.v z.g.a.n ca resp incl excl vgl evt " +
      "zgn nl m.a.w t.a.v gem max min st",
    ending: "enz etc e.d",
    unsure: "nr nrs blz p fig hfst art tel jan feb mrt apr jun jul aug sep sept okt nov dec n.v",
    starters:
      "de het een hij zij ze wij we jullie ik jij je u dit dat deze die er hier daar dan toen maar en of want dus als " +
      "wanneer omdat nu vandaag gisteren later daarna ook niet geen wat wie waar waarom hoe in op met van voor naar bij"
  },
  pt: {
    never: "sr sra srta srs dr dra prof profa eng arq exmo exma p.ex ex av gal cel ten aprox máx mín d",
    ending: "etc",
    unsure: "n.º nº núm pág págs art fig cap vol tel jan fev mar abr mai jun jul ago set out nov dez a.c d.c",
    starters:
      "o a os as um uma ele ela eles elas nós eu você vocês este esta isto esse essa isso em no na de do da por para " +
      "com sem mas e ou se quando como depois antes então agora hoje ontem não sim que quem onde porque seu sua é foi há"
  },
  ru: {
    never:
      "г гг ул д кв корп пр просп пл стр обл р им проф акад доц инж гр тов см ср напр т.е т.к т.н т.о и.о в.т.ч т ок св " +
      "тыс млн млрд руб коп рис гл мин макс",
    ending: "др пр т.д т.п и.т.д и.т.п н.э",
    unsure: "рис табл гл с п ст №",
    starters:
      "он она оно они мы вы я ты это этот эта эти тот та в во на с со к по за из от до для при но и а или если когда " +
      "как потом затем тогда теперь сейчас сегодня вчера завтра не нет да что кто где почему его её их"
  },
  bg: { never: "г гр ул бул пл проф д-р инж им напр т.е т.нар др", ending: "др и.т.н", unsure: "стр ч с" },
  uk: {
    never: "р рр вул м буд журн чл стор вид кв проф акад доц ім див напр тис млн млрд грн т.зв т",
    ending: "ін т.д т.п",
    unsure: "мал с ст"
  },
  pl: {
    never: "p pan dr prof inż mgr hab ks im ul al pl np tj tzn tzw m.in ok ob por wg św gen płk mec red",
    ending: "itd itp",
    unsure: "nr str s r rys tab tel godz tys mln mld zł",
    starters:
      "to ten ta te on ona ono oni my wy ja ty w we na z ze do po od dla przy ale i a lub jeśli gdy kiedy jak potem " +
      "teraz dziś wczoraj nie tak co kto gdzie dlaczego jego jej ich",
    ordinals: true
  },
  cs: {
    never: "p pí dr ing mgr mudr judr prof doc např napr tzv tj tzn resp mj sv ul nám",
    ending: "atd apod",
    unsure: "č s str obr",
    ordinals: true
  },
  sv: {
    never: "dr prof t.ex bl.a d.v.s dvs s.k m.fl ca kl jfr resp f.d p.g.a",
    ending: "osv etc m.m",
    unsure: "nr s kap",
    ordinals: true
  },
  da: {
    never: "dr prof hr fr f.eks bl.a dvs d.v.s ca kl jf pga mht inkl",
    ending: "osv etc m.m mv",
    unsure: "nr s kap",
    ordinals: true
  },
  no: {
    never: "dr prof hr fr f.eks bl.a dvs d.v.s ca kl jf pga mht inkl",
    ending: "osv etc m.m mv",
    unsure: "nr s kap",
    ordinals: true
  },
  fi: { never: "dr esim ts ns mm tri prof ent n v klo nk os", ending: "jne yms ym", unsure: "nro s", ordinals: true },
  hu: { never: "dr prof pl ún kb ifj özv id ill vö", ending: "stb", unsure: "sz o", ordinals: true },
  tr: {
    never: "dr prof doç av sn alb yrd örn bkz öğr müh",
    ending: "vb vs",
    unsure: "no s cad sok mah",
    ordinals: true
  },
  ro: { never: "dl dna d-l d-na dr prof ing str nr ex aprox", ending: "etc", unsure: "art pag" },
  el: { never: "κ κκ δρ καθ π.χ δηλ βλ", ending: "κ.λπ κλπ κ.ά κτλ", unsure: "αρ σελ", marks: ";\u037e" },
  hy: { marks: ":" },
  ar: { never: "د أ م ص ج هـ", unsure: "" },
  he: { never: "ד גב פרופ עו רח שד", unsure: "עמ מס" },
  hi: { never: "डॉ श्री प्रो सु पं कु रु", unsure: "क्र पृ" }
}

const rulesFor = ({ ending, marks, never, ordinals, starters, unsure }: Lists): Rules => ({
  never: set(never),
  ending: set(ending),
  unsure: set(unsure),
  starters: set(starters),
  ordinals: ordinals === true,
  marks: marks ?? ""
})

const known = new Map<string, Rules>()

/** `language`: BCP 47; by its first part. Without a list of its own a language has those of English. */
export const rulesOf = (language: string): Rules => {
  const base = language.toLowerCase().split(/[-_]/u)[0]!
  const name = base === "nb" || base === "nn" ? "no" : base === "sk" ? "cs" : base in lists ? base : "en"
  const found = known.get(name) ?? rulesFor(lists[name]!)
  known.set(name, found)
  return found
}

/** What a full stop may be: an end at once before a space, an end unless a small letter follows, and so on down to never. */
export type Ending = "surely" | "likely" | "capital" | "starter" | "number" | "ellipsis" | "never"

const lastWord = /(?:(?<![\p{L}\p{M}\p{N}])\p{L}\p{M}*\.\s)*[\p{L}\p{M}\p{N}.'’°º№-]*$/u
/** So many letters make an abbreviation that is not listed unlikely. */
const longWordLetters = 5
/** Marks of direction among them. */
const invisible = /\p{Cf}/gu
const wide = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u

/** `before`: at least the last 40 code units before the full stop. */
export const endingOf = (before: string, { ending, never, ordinals, unsure }: Rules): Ending => {
  const word = lastWord.exec(before.slice(-40).replace(invisible, ""))![0]
  const key = word.toLowerCase().replace(/\s/gu, "").replace(/^.*['’]|^-+/u, "")
  if (key === "") return "likely"
  if (never.has(key)) return "never"
  if (unsure.has(key)) return "starter"
  if (ending.has(key)) return "capital"
  if (/^\p{N}+$/u.test(key)) return ordinals && key.length <= 2 ? "starter" : "number"
  if (/^[\p{N}.]+$/u.test(key)) return "number"
  if (ordinals && /^[IVXL]+$/u.test(word)) return "starter"
  if (wide.test(key.slice(-1))) return key.length > 1 ? "surely" : "likely"
  if (/^(?:\p{L}\p{M}*|(?:\p{L}{1,3}\.)+\p{L}{1,3})$/u.test(key)) return "starter"
  const letters = key.match(/\p{L}/gu)?.length ?? 0
  return letters >= longWordLetters || (letters > 1 && /\p{Lo}\p{M}*$/u.test(key)) ? "surely" : "likely"
}
