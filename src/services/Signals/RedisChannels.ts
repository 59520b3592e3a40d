/**
 * Signals as messages on Redis channels, `scaispeak:{database}:{topic}`: JSON that names its sender, so that a process does
 * not hear itself twice. Redis keeps its databases apart and not its channels, hence the number in their names.
 *
 * The subscribing connection is a second one. It is asked for a sign of life every second, so that one that died without
 * a word is opened anew within about two, and every time that it has subscribed, the first included, it says so.
 */
import { Effect, Option, Schedule, Schema } from "effect"
import type { Duration } from "effect"
import { randomUUID } from "node:crypto"
import { topicNames, topics } from "../../domain/Signal.ts"
import type { Payload, Topic } from "../../domain/Signal.ts"
import { Redis } from "../Redis.ts"

const aliveEvery: Duration.Input = "1 second"
/** What is logged of a message that says nothing to us, characters. */
const junkShownMax = 200

const Message = <S extends Schema.Top>(payload: S) =>
  Schema.fromJsonString(Schema.Struct({ from: Schema.String, payload }))

const codecs = {
  "voices.changed": Message(topics["voices.changed"]),
  "voice.stopped": Message(topics["voice.stopped"]),
  "clips.erased": Message(topics["clips.erased"]),
  "policy.changed": Message(topics["policy.changed"]),
  "keys.changed": Message(topics["keys.changed"]),
  "jobs.queued": Message(topics["jobs.queued"]),
  "job.changed": Message(topics["job.changed"])
} satisfies Record<Topic, unknown>

const codecOf = <T extends Topic>(topic: T) =>
  codecs[topic] as unknown as Schema.Codec<{ readonly from: string; readonly payload: Payload<T> }, string>

/** Subscribes, and returns how to publish. Both go on by themselves after Redis was away. */
export const open = Effect.fnUntraced(function*(on: {
  readonly onMessage: <T extends Topic>(topic: T, payload: Payload<T>) => void
  /** Messages are heard from here on; some may have been missed before. */
  readonly onResync: () => void
}) {
  const redis = yield* Redis
  const client = yield* redis.dedicated
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const me = randomUUID()
  const channelOf = (topic: Topic) => `scaispeak:${client.options.db ?? 0}:${topic}`
  const topicOf = new Map(topicNames.map((topic) => [channelOf(topic), topic]))

  client.on("message", (channel, text) => {
    const topic = topicOf.get(channel)
    if (topic === undefined) return
    const message = Schema.decodeUnknownOption(codecOf(topic))(text)
    if (Option.isNone(message)) {
      run(Effect.logWarning("a signal made no sense", { topic, text: text.slice(0, junkShownMax) }))
    } else if (message.value.from !== me) on.onMessage(topic, message.value.payload)
  })
  client.on("ready", () => {
    client.subscribe(...topicOf.keys()).then(on.onResync, () => client.disconnect(true))
  })
  client.connect().catch(() => {})
  yield* Effect.ignore(Effect.tryPromise(() => client.ping())).pipe(
    Effect.repeat(Schedule.spaced(aliveEvery)),
    Effect.forkScoped
  )

  // Said once for an outage, however many signals it swallows.
  let deaf = false
  return <T extends Topic>(topic: T, payload: Payload<T>): Effect.Effect<void> =>
    redis.use((connection) =>
      connection.publish(channelOf(topic), Schema.encodeSync(codecOf(topic))({ from: me, payload }))
    ).pipe(
      Effect.matchEffect({
        onSuccess: () => Effect.sync(() => void (deaf = false)),
        onFailure: ({ cause }) =>
          Effect.suspend(() => {
            if (deaf) return Effect.void
            deaf = true
            return Effect.logWarning("other processes are not told: they notice within their own time", {
              topic,
              cause: String(cause)
            })
          })
      })
    )
})
