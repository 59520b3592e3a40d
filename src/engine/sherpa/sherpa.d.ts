/** The package brings no types: what is used of version 1.13. */
declare module "sherpa-onnx-node" {
  export interface GenerationConfig {
    /** Speaker id. */
    readonly sid: number
    readonly speed: number
    readonly referenceAudio?: Float32Array
    /** Hz. */
    readonly referenceSampleRate?: number
    readonly referenceText?: string
    readonly extra?: Record<string, string | number>
  }
  /** A module of the older kind: everything is on its default export. */
  class OfflineTts {
    static createAsync(config: unknown): Promise<OfflineTts>
    readonly numSpeakers: number
    /** Hz. */
    readonly sampleRate: number
    /** `onProgress` is given each part once; when it returns 0, the model stops behind the part in hand. */
    generateAsync(request: {
      readonly text: string
      readonly generationConfig: GenerationConfig
      readonly onProgress: (part: { readonly samples: Float32Array }) => 0 | 1
    }): Promise<unknown>
  }
  const sherpa: { readonly OfflineTts: typeof OfflineTts }
  export default sherpa
}
