/** A client of the public gRPC service in the tests' hands, and one below gRPC for what no client would send. */
import { BinaryReader } from "@bufbuild/protobuf/wire"
import { credentials, Metadata } from "@grpc/grpc-js"
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { connect } from "node:http2"
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2"
import { AudioFormat, ClientFrame, SpeakRequest, SpeakServiceClient } from "../../../src/proto/scaispeak/v1/speak.ts"
import { GrpcServer } from "../../../src/stream/GrpcServer.ts"
import { TestServer } from "../../layers/TestServer.ts"

export const clientOf = (address: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new SpeakServiceClient(address, credentials.createInsecure())),
    (client) => Effect.sync(() => client.close())
  )

/** The test's server, a client of it, and a key that may do anything. */
export const connected = Effect.gen(function*() {
  const server = yield* TestServer
  const { address } = Context.get(server.context, GrpcServer)
  return {
    ...server,
    address,
    client: yield* clientOf(address),
    token: yield* server.key("acme", "ada", "tenant_admin")
  }
})

export const bearer = (token: string, more: Record<string, string> = {}) => {
  const metadata = new Metadata()
  metadata.set("authorization", `Bearer ${token}`)
  for (const [key, value] of Object.entries(more)) metadata.set(key, value)
  return metadata
}

/** `voice`: a script of the node, or a whole id. */
export const saying = (voice: string, more: Partial<SpeakRequest> = {}) =>
  SpeakRequest.fromPartial({
    voiceId: voice.startsWith("vox_") ? voice : `vox_scripted_${voice}`,
    text: "Anything.",
    responseFormat: AudioFormat.PCM,
    ...more
  })

/** A frame of a client by its case, with what is given of its value. */
export const frame = ($case: NonNullable<ClientFrame["frame"]>["$case"], value: object = {}) =>
  ClientFrame.fromPartial({ frame: { $case, value } as never })

export interface Collected<A> {
  readonly events: Array<A>
  readonly error: ServiceError | undefined
  readonly head: Metadata | undefined
}

/** All events of a call, and how it ended. */
export const collect = <A>(call: ClientReadableStream<A>) =>
  Effect.promise(() =>
    new Promise<Collected<A>>((resolve) => {
      const events: Array<A> = []
      let head: Metadata | undefined
      call.on("metadata", (metadata) => (head = metadata)).on("data", (event: A) => events.push(event))
      call.on("error", (error: ServiceError) => resolve({ events, error, head }))
      call.on("end", () => setImmediate(() => resolve({ events, error: undefined, head })))
    })
  )

/** A gRPC message, as it stands in the body of a call. */
export const framed = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** A call by hand: what is sent is anything, and nothing is read until somebody asks. The library's own client reads ahead. */
export const raw = (
  address: string,
  method: string,
  token: string,
  body: Uint8Array,
  headers: Record<string, string> = {}
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const session = connect(`http://${address}`)
      session.on("error", () => {})
      const call = session.request({
        ":method": "POST",
        ":path": `/scaispeak.v1.SpeakService/${method}`,
        "content-type": "application/grpc",
        te: "trailers",
        authorization: `Bearer ${token}`,
        ...headers
      })
      call.on("error", () => {})
      call.end(body)
      return { call, session }
    }),
    ({ session }) => Effect.sync(() => session.destroy())
  )

/** Headers or trailers, whichever had the status; reads what comes before them. */
export const statusOf = (call: ClientHttp2Stream) =>
  Effect.promise(() =>
    new Promise<IncomingHttpHeaders>((resolve) => {
      const look = (headers: IncomingHttpHeaders) => "grpc-status" in headers && resolve(headers)
      call.on("response", look).on("trailers", look).resume()
    })
  )

/** Length-delimited fields and varints of a message whose type nobody here has, by number. */
export const fieldsOf = (bytes: Uint8Array): Record<number, Array<Uint8Array | number>> => {
  const reader = new BinaryReader(bytes)
  const fields: Record<number, Array<Uint8Array | number>> = {}
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag()
    const values = fields[no] ??= []
    values.push(type === 2 ? reader.bytes() : Number(reader.int64()))
  }
  return fields
}

/** Rows of the audit log about calls of this action, oldest first. */
export const audited = (action: string) =>
  Effect.gen(function*() {
    const { context } = yield* TestServer
    const sql = Context.get(context, SqlClient.SqlClient)
    return yield* sql<{ outcome: string; resource_id: string | null; request_id: string; actor_user_id: string }>`
      SELECT outcome, resource_id, request_id, actor_user_id FROM audit_log WHERE action = ${action} ORDER BY audit_id`
  }).pipe(Effect.orDie)
