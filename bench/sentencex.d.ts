/** The package brings no types. */
declare module "sentencex" {
  /** Sentences in order; joined they are the text again. `language` is ISO 639-1. */
  export const segment: (language: string, text: string) => Array<string>
}
