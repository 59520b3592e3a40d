/** The commands, one file each. Each loads what it runs only when it is chosen, so that none pays for another. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Permission, Role } from "../domain/Permission.ts"

const version = "0.1.0"

/** For a program that sound passes through; MiB. */
const withYoung = (mebibytes: number) =>
  Effect.flatMap(Effect.promise(() => import("./YoungGeneration.ts")), (m) => m.of(mebibytes))

const serve = Command.make(
  "serve",
  {},
  () =>
    withYoung(8).pipe(
      Effect.andThen(Effect.promise(() => import("./serve.ts"))),
      Effect.flatMap((m) => m.serve)
    )
)
  .pipe(Command.withDescription("Serve HTTP, with an engine node beside it unless nodes are configured (the default)"))

const worker = Command.make(
  "worker",
  {},
  () =>
    withYoung(2).pipe(
      Effect.andThen(Effect.promise(() => import("./worker.ts"))),
      Effect.flatMap((m) => m.worker)
    )
).pipe(Command.withDescription("Run jobs, beside other workers and servers on the same database"))

const node = Command.make("node", {
  listen: Flag.String("listen").pipe(
    Flag.optional,
    Flag.withDescription("host:port; SCAISPEAK_NODE_ADDRESS otherwise")
  ),
  embedded: Flag.Boolean("embedded").pipe(
    Flag.withDefault(false),
    Flag.withDescription("End when standard input closes, as a child of the server must")
  )
}, (flags) => Effect.flatMap(Effect.promise(() => import("./node.ts")), (m) => m.node(flags))).pipe(
  Command.withDescription("Run an engine node")
)

const migrate = Command.make(
  "migrate",
  {},
  () => Effect.flatMap(Effect.promise(() => import("./migrate.ts")), (m) => m.migrate)
).pipe(Command.withDescription("Bring the database up to date and say what was applied"))

const config = Command.make(
  "config",
  {},
  () => Effect.flatMap(Effect.promise(() => import("./config.ts")), (m) => m.config)
)
  .pipe(Command.withDescription("Print the effective settings and where each comes from"))

const tenant = Flag.String("tenant").pipe(Flag.withDefault("default"), Flag.withDescription("Tenant of the key"))

const keys = Command.make("keys").pipe(
  Command.withDescription("Manage API keys straight in the database"),
  Command.withSubcommands([
    Command.make("create", {
      name: Flag.String("name").pipe(Flag.withDefault("cli"), Flag.withDescription("What the key is for")),
      tenant,
      user: Flag.String("user").pipe(Flag.withDefault("admin"), Flag.withDescription("Owner; made if new")),
      role: Flag.Literals("role", Role.literals).pipe(Flag.withDefault("tenant_admin" as const)),
      permission: Flag.Literals("permission", Permission.literals).pipe(
        Flag.atLeast(0),
        Flag.withDescription("Repeat for several; all that the role grants when absent")
      )
    }, (flags) => Effect.flatMap(Effect.promise(() => import("./keys.ts")), (m) => m.create(flags))),
    Command.make(
      "list",
      { tenant },
      (flags) => Effect.flatMap(Effect.promise(() => import("./keys.ts")), (m) => m.list(flags))
    ),
    Command.make(
      "revoke",
      { tenant, keyId: Argument.String("key_id") },
      (flags) => Effect.flatMap(Effect.promise(() => import("./keys.ts")), (m) => m.revoke(flags))
    )
  ])
)

const speak = Command.make("speak", {
  text: Argument.String("text"),
  output: Flag.String("output").pipe(
    Flag.withAlias("o"),
    Flag.withDescription("File to write; its ending is the format")
  ),
  voice: Flag.String("voice").pipe(Flag.optional, Flag.withDescription("Voice id; the first voice otherwise")),
  url: Flag.String("url").pipe(Flag.optional, Flag.withDescription("Server; this machine's configured one otherwise")),
  key: Flag.Redacted("key").pipe(Flag.optional, Flag.withDescription("API key; the bootstrap key otherwise"))
}, (flags) => Effect.flatMap(Effect.promise(() => import("./speak.ts")), (m) => m.speak(flags))).pipe(
  Command.withDescription("Speak a text into a file, through a running server")
)

const root = Command.make("scaispeak").pipe(
  Command.withDescription("Text to speech: voices, one POST /speak, two kinds of backends."),
  Command.withSubcommands([serve, worker, node, migrate, keys, speak, config])
)

/** Runs the command line. No words at all, or only flags of its own, mean `serve`. */
export const main = (args: ReadonlyArray<string>) =>
  Command.runWith(root, { version })(args.length === 0 ? ["serve"] : args).pipe(Effect.provide(NodeServices.layer))
