/** Sends a multipart form as no well-behaved client would: of any length, at any pace, with any headers. */
import { Effect } from "effect"
import { once } from "node:events"
import { request } from "node:http"

export interface Part {
  /** As they stand; `content-disposition` among them. */
  readonly headers: ReadonlyArray<string>
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
}

export const filePart = (name: string, body: Part["body"], filename = "clip.wav", type = "audio/wav"): Part => ({
  headers: [`content-disposition: form-data; name="${name}"; filename="${filename}"`, `content-type: ${type}`],
  body
})

export const fieldPart = (name: string, value: string): Part => ({
  headers: [`content-disposition: form-data; name="${name}"`],
  body: [Buffer.from(value)]
})

const boundary = "a-boundary-of-the-tests"

export async function* form(parts: Iterable<Part>): AsyncGenerator<Uint8Array> {
  for (const { body, headers } of parts) {
    yield Buffer.from(`--${boundary}\r\n${headers.join("\r\n")}\r\n\r\n`)
    yield* body
    yield Buffer.from("\r\n")
  }
  yield Buffer.from(`--${boundary}--\r\n`)
}

export interface Reply {
  readonly status: number
  readonly json: any
  /** Bytes of the body that were handed to the socket. */
  readonly sent: number
}

/** Reads the reply whenever it comes, and stops sending then. Status 0: the connection ended without one. */
export const upload = (
  url: string,
  key: string,
  body: AsyncIterable<Uint8Array>,
  headers: Record<string, string> = {}
): Effect.Effect<Reply> =>
  Effect.callback((resume, signal) => {
    let sent = 0
    let over = false
    const outgoing = request(url, {
      method: "POST",
      agent: false,
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": `multipart/form-data; boundary=${boundary}`,
        ...headers
      }
    })
    const closed = new Promise((resolve) => outgoing.once("close", resolve))
    const end = (reply: Reply) => {
      if (over) return
      over = true
      outgoing.destroy()
      resume(Effect.succeed(reply))
    }
    outgoing.on("response", async (response) => {
      const chunks: Array<Buffer> = []
      try {
        for await (const chunk of response) chunks.push(chunk as Buffer)
        end({ status: response.statusCode!, json: JSON.parse(Buffer.concat(chunks).toString()), sent })
      } catch {
        end({ status: 0, json: undefined, sent })
      }
    })
    // The reply may be behind it.
    outgoing.on("error", () => setTimeout(() => end({ status: 0, json: undefined, sent }), 200))
    signal.addEventListener("abort", () => outgoing.destroy())
    void (async () => {
      for await (const chunk of body) {
        if (over || outgoing.destroyed) return
        sent += chunk.length
        if (!outgoing.write(chunk)) {
          await Promise.race([once(outgoing, "drain").catch(() => {}), closed])
        }
      }
      outgoing.end()
    })()
  })
