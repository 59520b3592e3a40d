/**
 * A relay's reply as speech: its rate as soon as the first bytes tell, and its audio while it arrives.
 *
 * Nothing is read ahead of whoever pulls. The audio ends with a failure when it was none, was cut, or stopped coming.
 */
import { Effect, Pull, Stream } from "effect"
import type { Scope } from "effect"
import type { HttpClientError, HttpClientResponse } from "effect/http"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import { BackendTimeout } from "../../domain/Failure.ts"
import type { BackendFailed, DispatchFailure } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import { broken } from "./Refusal.ts"
import { formatOf, notSound } from "./ReplyFormat.ts"
import { samples } from "./Samples.ts"

export interface PcmReply {
  /** Hz. */
  readonly sampleRate: number
  /** To be run once, in the scope that the reply was read in. */
  readonly audio: Stream.Stream<PcmChunk, DispatchFailure>
}

export interface PcmReplyOptions {
  /** Hz, of raw PCM whose reply does not say. */
  readonly sampleRate: number
  /** Longest silence between two pieces of the body, while somebody waits for them. */
  readonly chunkTimeoutMs: number
  /** ms cut from the start. */
  readonly trimMs: number
}

export const pcmReply = Effect.fnUntraced(function*(
  response: HttpClientResponse.HttpClientResponse,
  options: PcmReplyOptions
): Effect.fn.Return<PcmReply, BackendFailed, Scope.Scope> {
  const { headers } = response
  const refusal = notSound(headers)
  if (refusal !== undefined) return yield* broken(refusal)

  const pull = yield* Stream.toPull(Stream.mapError(response.stream, brokeOff))
  const next = Pull.catchDone(pull, () => Effect.succeed(undefined))
  let head: Uint8Array = new Uint8Array(0)
  let ended = false
  let found = formatOf(head, ended, headers, options.sampleRate)
  // A header alone is no sound yet.
  while (found === "more" || (!ended && "offset" in found && found.offset === head.length)) {
    const chunks = yield* next
    if (chunks === undefined) ended = true
    else head = head.length === 0 && chunks.length === 1 ? chunks[0] : Buffer.concat([head, ...chunks])
    found = formatOf(head, ended, headers, options.sampleRate)
  }
  if ("wrong" in found) return yield* broken(found.wrong)

  const { layout, offset } = found
  const { complaint, push } = samples(layout)
  const trim = trimmer(Math.round((options.trimMs * layout.sampleRate) / 1000) * bytesPerSample)
  const rest = Stream.timeoutOrElse(Stream.fromPull(Effect.succeed(pull)), {
    duration: options.chunkTimeoutMs,
    orElse: () => Stream.fail(new BackendTimeout({ backend: "B", waitedMs: options.chunkTimeoutMs }))
  })
  return {
    sampleRate: layout.sampleRate,
    audio: Stream.concat(Stream.succeed(head.subarray(offset)), ended ? Stream.empty : rest).pipe(
      Stream.map((bytes): PcmChunk => ({ pcm: trim(push(bytes)), words: [] })),
      Stream.filter(({ pcm }) => pcm.length > 0),
      Stream.concat(Stream.suspend(() => {
        const wrong = complaint()
        return wrong === undefined ? Stream.empty : Stream.fail(broken(wrong))
      }))
    )
  }
})

/** Cuts so many bytes from the start. */
const trimmer = (bytes: number) => {
  let left = bytes
  return (pcm: Uint8Array): Uint8Array => {
    if (left === 0) return pcm
    const cut = Math.min(left, pcm.length)
    left -= cut
    return pcm.subarray(cut)
  }
}

/** The client's own error holds the request, and with it the text: only its code is kept. */
const brokeOff = ({ reason }: HttpClientError.HttpClientError): BackendFailed => {
  const code = String((reason as { cause?: { code?: unknown } }).cause?.code ?? reason._tag)
  return broken(`The relay broke off (${/^\w+/u.exec(code)?.[0] ?? "unknown"}).`)
}
