/**
 * The AsyncAPI 3.0 document of live sessions, made of the very schemas that decode and encode their frames:
 * `npm run asyncapi` writes it to `docs/asyncapi.json`.
 */
import { JsonSchema, Schema } from "effect"
import * as Recorder from "../domain/RecorderFrame.ts"
import { clientFrames, frameBytesMax, Open } from "../domain/stream/ClientFrame.ts"
import { closeCodes } from "../domain/stream/CloseCode.ts"
import { ErrorFrame, serverFrames } from "../domain/stream/ServerFrame.ts"

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

const named = (messages: Record<string, object>) =>
  Object.fromEntries(Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]))

const refs = (prefix: string, names: ReadonlyArray<string>) => names.map((name) => ({ $ref: `${prefix}${name}` }))

const recording = {
  name: "recording",
  contentType: "application/octet-stream",
  summary: "A binary frame between `open` and `stop`: whole samples of PCM (s16le), or one Opus packet. Mono.",
  payload: { type: "string", format: "binary" }
}

/** Messages of the recorder have names of their own: two of its frames are called as a session's are. */
const recorderMessages = (frames: ReadonlyArray<Schema.Top>) =>
  Object.fromEntries(frames.map((frame) => {
    const [type, message] = messageOf(frame)
    return [`record_${type}`, message] as const
  }))

/** Where the sockets are. */
export const asyncApi = ({ recorder, speak }: { readonly speak: string; readonly recorder: string }) => {
  const intoRecorder: Record<string, object> = { ...recorderMessages([Recorder.Open, Recorder.Stop]), recording }
  const fromRecorder: Record<string, object> = {
    ...recorderMessages([Recorder.Ready, Recorder.Level, Recorder.Recorded]),
    record_error: messageOf(ErrorFrame)[1]
  }
  const fromClient = Object.fromEntries([Open, ...clientFrames].map(messageOf))
  const fromServer: Record<string, object> = { ...Object.fromEntries(serverFrames.map(messageOf)), audio }
  const ofSpeak = { ...fromClient, ...fromServer }
  const ofRecorder = { ...intoRecorder, ...fromRecorder }
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
        address: speak,
        messages: named(ofSpeak)
      },
      record: {
        address: recorder,
        description:
          "A reference or a spoken consent, recorded live: `open` is answered by `ready`, `stop` by `recorded`. Unknown fields are refused.",
        messages: named(ofRecorder)
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
      },
      record: {
        action: "receive",
        channel: { $ref: "#/channels/record" },
        summary: "What a microphone sends.",
        messages: refs("#/channels/record/messages/", Object.keys(intoRecorder))
      },
      measure: {
        action: "send",
        channel: { $ref: "#/channels/record" },
        summary: "What it is told.",
        messages: refs("#/channels/record/messages/", Object.keys(fromRecorder))
      }
    },
    components: { messages: { ...ofSpeak, ...ofRecorder } }
  }
}
