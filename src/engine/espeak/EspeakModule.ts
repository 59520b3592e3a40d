/** What is used of `@echogarden/espeak-ng-emscripten` 0.3, which brings no types and is not a dependency. */

export interface Espeak {
  /** Exactly one may live in a process. */
  readonly eSpeakNGWorker: new() => EspeakWorker
}

export interface EspeakWorker {
  readonly list_voices: () => ReadonlyArray<ListedVoice>
  /** An identifier, with `+variant` behind it. 0 when there is such a voice. */
  readonly set_voice: (name: string) => number
  /** Words a minute, 80 to 450. */
  readonly set_rate: (rate: number) => void
  /** 100 is as it is. */
  readonly set_volume: (volume: number) => void
  /** Hz. */
  readonly get_samplerate: () => number
  /** Returns when all is spoken; takes its text for SSML. Stops when `heard` returns true. */
  readonly synthesize: (
    text: string,
    heard: (samples: Int16Array, events: ReadonlyArray<EspeakEvent>) => boolean
  ) => void
}

export interface ListedVoice {
  readonly name: string
  readonly identifier: string
  /** The lower the priority, the better the voice is for the language. */
  readonly languages: ReadonlyArray<{ readonly priority: number; readonly name: string }>
}

export interface EspeakEvent {
  readonly type: string
  /** The first code point of the text is 1. */
  readonly text_position: number
  /** ms from the start of the call. */
  readonly audio_position: number
}
