/** `scaispeak speak "text" -o file`: a client of a running server, with its progress on standard error. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Console, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { spawn } from "node:child_process"
import { open, readFile, rename, rm } from "node:fs/promises"
import { extname, join } from "node:path"
import { Config } from "../Config.ts"
import { formats } from "../domain/AudioFormat.ts"
import type { AudioFormat } from "../domain/AudioFormat.ts"
import { mount } from "../http/Api.ts"

class SpeakFailed extends Schema.TaggedError<SpeakFailed>()("SpeakFailed", { message: Schema.String }) {}

const formatOf = (file: string): AudioFormat | undefined =>
  (Object.keys(formats) as Array<AudioFormat>).find((format) =>
    [format, formats[format].extension].includes(extname(file).slice(1).toLowerCase())
  )

const Failure = Schema.Struct({ error: Schema.Struct({ code: Schema.String, message: Schema.String }) })

/** Audio arrives under another name and takes its own at the end: a cut file never looks like a whole one. */
const save = Effect.fnUntraced(function*<E>(audio: Stream.Stream<Uint8Array, E>, file: string) {
  const partial = `${file}.part`
  const handle = yield* Effect.acquireRelease(
    Effect.promise(() => open(partial, "w")),
    (handle) => Effect.promise(() => handle.close())
  )
  let bytes = 0
  yield* Stream.runForEach(audio, (chunk) =>
    Effect.promise(async () => {
      await handle.write(chunk)
      bytes += chunk.length
      if (process.stderr.isTTY) process.stderr.write(`\r${(bytes / 1024).toFixed(0)} KiB`)
    })).pipe(Effect.onError(() => Effect.promise(() => rm(partial, { force: true }))))
  if (process.stderr.isTTY) process.stderr.write("\r")
  yield* Effect.promise(() => rename(partial, file))
  return bytes
}, Effect.scoped)

/** Plays the file where a player is installed; silence is no error. */
const play = (file: string) =>
  Effect.callback<void>((resume) => {
    const child = spawn("ffplay", ["-nodisp", "-autoexit", "-loglevel", "quiet", file], { stdio: "ignore" })
    child.once("error", () => resume(Effect.void)).once("exit", () => resume(Effect.void))
    return Effect.sync(() => child.kill())
  })

export const speak = (flags: {
  readonly text: string
  readonly output: string
  readonly voice: Option.Option<string>
  readonly url: Option.Option<string>
  readonly key: Option.Option<Redacted.Redacted>
}) =>
  Effect.gen(function*() {
    const settings = yield* Config
    const format = formatOf(flags.output)
    if (format === undefined) {
      return yield* new SpeakFailed({
        message: `${flags.output}: end it with one of .${Object.keys(formats).join(", .")}`
      })
    }
    const key = Option.isSome(flags.key)
      ? flags.key.value
      : settings.bootstrapKey ?? Redacted.make(
        (yield* Effect.tryPromise({
          try: () => readFile(join(settings.dataDir, "bootstrap-key"), "utf8"),
          catch: () => new SpeakFailed({ message: "No key: give --key." })
        })).trim()
      )
    const client = (yield* HttpClient.HttpClient).pipe(
      HttpClient.mapRequest((request) =>
        HttpClientRequest.bearerToken(
          HttpClientRequest.prependUrl(
            request,
            Option.getOrElse(flags.url, () => `http://${settings.host}:${settings.port}`) + mount
          ),
          key
        )
      )
    )
    const voice = Option.isSome(flags.voice) ? flags.voice.value : yield* firstVoice(client)
    const response = yield* HttpClientRequest.post("/speak").pipe(
      HttpClientRequest.bodyJsonUnsafe({ text: flags.text, voice_id: voice, response_format: format }),
      client.execute
    )
    const spoken = response.status === 202 ? yield* followed(client, yield* response.json) : response
    if (spoken.status !== 200) {
      const { error } = yield* Schema.decodeUnknownEffect(Failure)(yield* spoken.json)
      return yield* new SpeakFailed({ message: `${error.code}: ${error.message}` })
    }
    const bytes = yield* save(spoken.stream, flags.output)
    yield* Console.log(`${flags.output}: ${bytes} bytes in ${voice}`)
    if (process.stdout.isTTY) yield* play(flags.output)
  }).pipe(
    Effect.catchTag("HttpClientError", (error) =>
      new SpeakFailed({ message: `The server cannot be reached: ${error.message}` })),
    Effect.provide(Layer.merge(NodeHttpClient.layerUndici, Config.layer))
  )

const Accepted = Schema.Struct({ data: Schema.Struct({ job_id: Schema.String }) })
const Followed = Schema.Struct({
  data: Schema.Struct({
    status: Schema.String,
    status_reason: Schema.NullOr(Schema.String),
    progress: Schema.Struct({ segments_done: Schema.Number, segments_total: Schema.Number })
  })
})
const lookEvery = "1 second"

/** A long text becomes a job: its audio, once it has ended. */
const followed = Effect.fnUntraced(function*(client: HttpClient.HttpClient, accepted: unknown) {
  const { data: { job_id } } = yield* Schema.decodeUnknownEffect(Accepted)(accepted)
  for (;;) {
    const response = yield* client.get(`/speak/jobs/${job_id}`)
    const { data: job } = yield* Schema.decodeUnknownEffect(Followed)(yield* response.json)
    if (process.stderr.isTTY) {
      process.stderr.write(`\r${job.status} ${job.progress.segments_done}/${job.progress.segments_total}`)
    }
    if (job.status === "completed") return yield* client.get(`/speak/jobs/${job_id}/audio`)
    if (job.status !== "queued" && job.status !== "running") {
      return yield* new SpeakFailed({ message: `The job ${job.status}: ${job.status_reason ?? "no reason was given"}` })
    }
    yield* Effect.sleep(lookEvery)
  }
})

const Listed = Schema.Struct({
  data: Schema.Struct({ items: Schema.NonEmptyArray(Schema.Struct({ voice_id: Schema.String })) })
})

const firstVoice = (client: HttpClient.HttpClient) =>
  client.get("/voices?limit=1").pipe(
    Effect.flatMap((response) => response.json),
    Effect.flatMap(Schema.decodeUnknownEffect(Listed)),
    Effect.map(({ data }) => data.items[0].voice_id),
    Effect.catchTag("SchemaError", () => new SpeakFailed({ message: "The server has no voice to speak with." }))
  )
