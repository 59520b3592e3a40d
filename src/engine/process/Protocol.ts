/**
 * What a node and an engine's process say to each other, over the channel of `child_process.fork`.
 *
 * The node says `load` once and hears `ready` or `unusable`. Every `speak` is answered by any number of `audio` and then
 * exactly one of `done`, `refused` and `failed`, also when it is cancelled. The process holds back while as much as
 * {@link windowBytes} of a call is not taken, so that a slow listener bounds what either side keeps.
 */
import type { SpokenWord } from "../../domain/PcmChunk.ts"
import type { SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import type { Facts } from "./Model.ts"

/** Some 6 s at 22 kHz. One piece more may be on its way. */
export const windowBytes = 256 * 1024

export type ToProcess =
  | { readonly type: "load"; readonly settings: unknown }
  | { readonly type: "speak"; readonly id: number; readonly request: SynthesizeRequest }
  /** The listener has them. */
  | { readonly type: "taken"; readonly id: number; readonly bytes: number }
  | { readonly type: "cancel"; readonly id: number }

export type FromProcess =
  /** The model is read and has spoken. */
  | { readonly type: "ready"; readonly facts: Facts }
  | { readonly type: "unusable"; readonly reason: string; readonly lasting: boolean }
  | {
    readonly type: "audio"
    readonly id: number
    /** s16le. */
    readonly pcm: Uint8Array
    readonly words: ReadonlyArray<SpokenWord>
  }
  | { readonly type: "done"; readonly id: number }
  | { readonly type: "refused"; readonly id: number; readonly field: string; readonly message: string }
  | { readonly type: "failed"; readonly id: number; readonly reason: string }
