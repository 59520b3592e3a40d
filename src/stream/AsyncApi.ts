/**
 * The AsyncAPI 3.0 document of live sessions, made of the very schemas that decode and encode their frames:
 * `npm run asyncapi` writes it to `docs/asyncapi.json`.
 */
import { JsonSchema, Schema } from "effect"
import { clientFrames, frameBytesMax, Open } from "../domain/stream/ClientFrame.ts"
import { closeCodes } from "../domain/stream/CloseCode.ts"
import { serverFrames } from "../domain/stream/ServerFrame.ts"

/** A frame's type, and what AsyncAPI has as the message and its payload (JSON Schema, draft 07). */
const messageOf = (schema: Schema.Top) => {
  const { definitions, schema: payload } = JsonSchema.toDocumentDraft07(Schema.toJsonSchemaDocument(schema))
  const { properties } = payload as {
    readonly properties?: { readonly type?: { readonly enum?: ReadonlyArray<string> } }
  }
  const type = properties?.type?.enum?.[0]
  if (type === undefined || Object.keys(definitions).length > 0) throw new Error("A frame is one object with a type")
  const summary = schema.ast.annotations?.["description"]
  return [type, { name: type, contentType: "application/json", summary, payload }] as const
}

const audio = {
  name: "audio",
  contentType: "application/octet-stream",
  summary: "A binary frame: one Opus packet of 20 ms, or whole samples of PCM (s16le), mu-law or A-law. Mono.",
  payload: { type: "string", format: "binary" }
}

const refs = (prefix: string, names: ReadonlyArray<string>) => names.map((name) => ({ $ref: `${prefix}${name}` }))

/** `path`: where the socket is. */
export const asyncApi = (path: string) => {
  const fromClient = Object.fromEntries([Open, ...clientFrames].map(messageOf))
  const fromServer: Record<string, object> = { ...Object.fromEntries(serverFrames.map(messageOf)), audio }
  const messages = { ...fromClient, ...fromServer }
  return {
    asyncapi: "3.0.0",
    info: {
      title: "ScaiSpeak live speech",
      version: "1",
      description: [
        "Text goes in as it is written, audio comes out as it is heard. The first frame is `open`, answered by `ready`.",
        "Frames after `ready`, binary ones included, are numbered from 1 in the order in which they come: `open.resume.last_seq` is how many a client has received, over all connections of the session.",
        "Times are ms of stream time, which counts the audio sent since the session began. Offsets are code points of all text sent.",
        `Frames of a client are at most ${frameBytesMax} bytes; unknown fields are ignored. An \`error\` frame comes before 1011, 1012 and every 44xx and 4502.`,
        `Close codes: ${Object.entries(closeCodes).map(([code, meaning]) => `${code} ${meaning}`).join("; ")}.`
      ].join("\n\n")
    },
    defaultContentType: "application/json",
    channels: {
      speak: {
        address: path,
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }])
        )
      }
    },
    operations: {
      say: {
        action: "receive",
        channel: { $ref: "#/channels/speak" },
        summary: "What a client sends.",
        messages: refs("#/channels/speak/messages/", Object.keys(fromClient))
      },
      hear: {
        action: "send",
        channel: { $ref: "#/channels/speak" },
        summary: "What the server sends.",
        messages: refs("#/channels/speak/messages/", Object.keys(fromServer))
      }
    },
    components: { messages }
  }
}
