/**
 * The reference clips that this node holds, so that a gateway need send each only once: kept within a bound of bytes, by
 * the hash of their samples; what was used longest ago makes room.
 *
 * Every request leaves here with its samples, in a buffer that begins at an even address, and with their hash; the buffer
 * is shared by all calls that follow the clip.
 */
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { InvalidRequest } from "../../domain/Failure.ts"
import type { SynthesizeRequest, VoiceReference } from "../../proto/scaiinfer/v1/audio.ts"
import { ByteLru } from "../../services/ByteLru.ts"
import { clipRate, clipSecondsMax } from "../../services/ClipNormaliser/WavFile.ts"

/** The clip is named without its samples and is not held here: it has to be sent whole. */
export class ReferenceNotHeld extends Schema.TaggedError<ReferenceNotHeld>()("ReferenceNotHeld", {}) {}

export interface References {
  /** Keeps the clip that the request brings, or adds the one that it names. Other requests pass as they are. */
  readonly fill: (request: SynthesizeRequest) => Effect.Effect<SynthesizeRequest, InvalidRequest | ReferenceNotHeld>
  /** SHA-256 of the clips held, 32 bytes each, the last used first; at most {@link heldMax}. */
  readonly held: () => Array<Uint8Array>
}

/** As many as `GetInfoResponse.held_references` may have. */
export const heldMax = 1024
/** 80 clips of two minutes, 300 of 25 s. */
const bytesMaxDefault = 256 * 2 ** 20
const clipBytesMax = clipSecondsMax * clipRate * 2

interface Held {
  /** s16le, 16 kHz, mono. */
  readonly pcm: Uint8Array
  readonly digest: Uint8Array
}

export const make = (options: { readonly bytesMax?: number | undefined } = {}): References => {
  const clips = new ByteLru<Held>(options.bytesMax ?? bytesMaxDefault)

  /** The samples to speak from. */
  const samplesOf = ({ pcm, sha256 }: VoiceReference): Effect.Effect<Held, InvalidRequest | ReferenceNotHeld> => {
    if (pcm.length === 0 && sha256 === "") return refuse("has neither samples nor a sha256")
    if (pcm.length === 0) {
      const held = clips.get(sha256)
      return held === undefined ? Effect.fail(new ReferenceNotHeld()) : Effect.succeed(held)
    }
    if (pcm.length % 2 !== 0) return refuse("must hold whole samples of 16 bits")
    if (pcm.length > clipBytesMax) return refuse(`must be at most ${clipSecondsMax} s long`)
    const digest = createHash("sha256").update(pcm).digest()
    const name = digest.toString("hex")
    if (sha256 !== "" && sha256 !== name) return refuse("has another sha256 than it says")
    const held = clips.get(name)
    if (held !== undefined) return Effect.succeed(held)
    // What came is part of a message that would stay with it.
    const brought = { pcm: new Uint8Array(pcm), digest }
    clips.set(name, brought, pcm.length)
    return Effect.succeed(brought)
  }

  return {
    fill: (request) => {
      if (request.voice?.$case !== "reference") return Effect.succeed(request)
      const { value } = request.voice
      return Effect.map(
        Effect.suspend(() => samplesOf(value)),
        ({ digest, pcm }) => ({
          ...request,
          voice: { $case: "reference", value: { ...value, pcm, sha256: Buffer.from(digest).toString("hex") } }
        })
      )
    },
    held: () => clips.values().slice(0, heldMax).map(({ digest }) => digest)
  }
}

const refuse = (message: string) => Effect.fail(InvalidRequest.field("reference", message))
