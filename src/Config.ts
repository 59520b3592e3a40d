/**
 * Every setting of the service: an environment variable, its default and its meaning, decoded once at start.
 *
 * A wrong value stops the start with one line a setting. `.env` in the working folder is read below the environment.
 */
import { Context, Effect, Layer, Redacted, Result, Schema, SchemaIssue } from "effect"
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join, resolve } from "node:path"
import { parseEnv } from "node:util"
import { variables } from "./Config/Variables.ts"

type Variables = typeof variables
type Decoded = { readonly [K in keyof Variables]?: Variables[K][0]["Type"] }
const schema = Schema.Struct(
  Object.fromEntries(
    Object.entries(variables).map(([name, [field]]) => [name, Schema.optionalKey(field as Schema.Top)])
  )
) as unknown as Schema.Codec<Decoded, Record<string, string>>

export interface S3Settings {
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  readonly accessKeyId: Redacted.Redacted
  readonly secretAccessKey: Redacted.Redacted
}

/** Limits of api.md §2, requests a minute, when the database is a server's: an embedded install has no tenants to shield. */
const documentedRateLimits = { key: 60, user: 120, tenant: 1000, partner: 5000 }

/**
 * What a reference clip is held to. Durations: the published contract. Activity: one party of a telephone conversation
 * speaks 38.5 % of the time (ITU-T P.59), a reader twice that. Peak: productions end at −1 dBTP (EBU R 128), and coders
 * overshoot by some tenths. SNR: beyond 15 dB noise takes nothing more from intelligibility (IEC 60268-16, apparent SNR).
 */
const preflightDefaults = {
  durationMsMin: 5000,
  durationMsMax: 25_000,
  voiceActivityMin: 0.4,
  peakDbfsMax: -0.5,
  snrDbMin: 15
}

/** Between what was measured of right texts, 0.95 and more, and of wrong ones, 0.88 and less (`test/services/ConsentAlignment.test.ts`). */
const consentAlignmentMin = 0.92
const hourMillis = 3_600_000

/** Fills in every default. Fails with a line a setting that is missing beside another. */
const complete = (env: Decoded) => {
  const dataDir = resolve(env.SCAISPEAK_DATA_DIR ?? "data")
  const databaseUrl = env.SCAISPEAK_DATABASE_URL ?? Redacted.make(`sqlite:${join(dataDir, "scaispeak.sqlite")}`)
  const embeddedDatabase = Redacted.value(databaseUrl).startsWith("sqlite:")
  const limits = embeddedDatabase ? { key: 0, user: 0, tenant: 0, partner: 0 } : documentedRateLimits
  const missing: Array<string> = []
  const needs = (given: keyof Decoded, ...others: ReadonlyArray<keyof Decoded>) => {
    for (const other of others) {
      if (env[given] !== undefined && env[other] === undefined) missing.push(`${other}: needed beside ${given}`)
    }
  }
  needs("SCAISPEAK_S3_ENDPOINT", "SCAISPEAK_S3_BUCKET", "SCAISPEAK_S3_ACCESS_KEY_ID", "SCAISPEAK_S3_SECRET_ACCESS_KEY")
  needs("SCAISPEAK_RELAY_KIND", "SCAISPEAK_RELAY_URL", "SCAISPEAK_RELAY_MODEL")
  needs("SCAISPEAK_RELAY_URL", "SCAISPEAK_RELAY_KIND")
  needs("SCAISPEAK_SCAIKEY_AUDIENCE", "SCAISPEAK_SCAIKEY_ISSUER")
  needs("SCAISPEAK_SCAIKEY_CLIENT_ID", "SCAISPEAK_SCAIKEY_ISSUER", "SCAISPEAK_SCAIKEY_CLIENT_SECRET")
  needs("SCAISPEAK_SCAIKEY_CLIENT_SECRET", "SCAISPEAK_SCAIKEY_CLIENT_ID")
  needs("SCAISPEAK_SCAIDRIVE_URL", "SCAISPEAK_SCAIKEY_ISSUER", "SCAISPEAK_SCAIKEY_CLIENT_ID")
  needs("SCAISPEAK_SCAIDRIVE_AUDIENCE", "SCAISPEAK_SCAIDRIVE_URL")
  if (env.SCAISPEAK_NODE_ENGINES?.includes("sherpa") && env.SCAISPEAK_SHERPA_MODEL === undefined) {
    missing.push("SCAISPEAK_SHERPA_MODEL: needed by engine sherpa")
  }
  const preflight = {
    durationMsMin: env.SCAISPEAK_PREFLIGHT_DURATION_MIN_MS ?? preflightDefaults.durationMsMin,
    durationMsMax: env.SCAISPEAK_PREFLIGHT_DURATION_MAX_MS ?? preflightDefaults.durationMsMax,
    voiceActivityMin: env.SCAISPEAK_PREFLIGHT_VOICE_ACTIVITY_MIN ?? preflightDefaults.voiceActivityMin,
    peakDbfsMax: env.SCAISPEAK_PREFLIGHT_PEAK_DBFS_MAX ?? preflightDefaults.peakDbfsMax,
    snrDbMin: env.SCAISPEAK_PREFLIGHT_SNR_DB_MIN ?? preflightDefaults.snrDbMin
  }
  if (preflight.durationMsMin > preflight.durationMsMax) {
    missing.push("SCAISPEAK_PREFLIGHT_DURATION_MIN_MS: more than SCAISPEAK_PREFLIGHT_DURATION_MAX_MS")
  }
  const jobs = {
    keepMs: (env.SCAISPEAK_JOBS_KEEP_HOURS ?? 7 * 24) * hourMillis,
    retentionMs: (env.SCAISPEAK_JOBS_RETENTION_DAYS ?? 90) * 24 * hourMillis
  }
  if (jobs.keepMs > jobs.retentionMs) missing.push("SCAISPEAK_JOBS_KEEP_HOURS: more than SCAISPEAK_JOBS_RETENTION_DAYS")
  if (missing.length > 0) return Result.fail(missing)
  const s3: S3Settings | undefined = env.SCAISPEAK_S3_ENDPOINT === undefined ? undefined : {
    endpoint: env.SCAISPEAK_S3_ENDPOINT,
    bucket: env.SCAISPEAK_S3_BUCKET!,
    region: env.SCAISPEAK_S3_REGION ?? "garage",
    accessKeyId: env.SCAISPEAK_S3_ACCESS_KEY_ID!,
    secretAccessKey: env.SCAISPEAK_S3_SECRET_ACCESS_KEY!
  }
  return Result.succeed({
    host: env.SCAISPEAK_HOST ?? "127.0.0.1",
    port: env.SCAISPEAK_PORT ?? 8080,
    grpcPort: env.SCAISPEAK_GRPC_PORT ?? 50051,
    dataDir,
    databaseUrl,
    redisUrl: env.SCAISPEAK_REDIS_URL,
    s3,
    bootstrapKey: env.SCAISPEAK_BOOTSTRAP_KEY,
    embeddedNode: env.SCAISPEAK_EMBEDDED_NODE ?? env.SCAISPEAK_NODES === undefined,
    nodes: env.SCAISPEAK_NODES ?? [],
    nodeToken: env.SCAISPEAK_NODE_TOKEN,
    engine: env.SCAISPEAK_ENGINE ?? "default",
    nodeAddress: env.SCAISPEAK_NODE_ADDRESS ?? "127.0.0.1:50061",
    nodeCapacity: env.SCAISPEAK_NODE_CAPACITY ?? 64,
    nodeEngines: env.SCAISPEAK_NODE_ENGINES ?? ["flite"],
    nodeGateways: env.SCAISPEAK_NODE_GATEWAYS ?? [],
    nodeAdvertise: env.SCAISPEAK_NODE_ADVERTISE,
    sherpaModel: env.SCAISPEAK_SHERPA_MODEL,
    espeakPackage: env.SCAISPEAK_ESPEAK_PACKAGE,
    referenceMemoryBytes: env.SCAISPEAK_REFERENCE_MEMORY_BYTES ?? 256 * 2 ** 20,
    referenceDiskBytes: env.SCAISPEAK_REFERENCE_DISK_BYTES ?? 4 * 2 ** 30,
    relay: env.SCAISPEAK_RELAY_KIND === undefined ? undefined : {
      kind: env.SCAISPEAK_RELAY_KIND,
      url: env.SCAISPEAK_RELAY_URL!.replace(/\/+$/u, ""),
      apiKey: env.SCAISPEAK_RELAY_API_KEY,
      model: env.SCAISPEAK_RELAY_MODEL!,
      voices: env.SCAISPEAK_RELAY_VOICES ?? []
    },
    issuer: env.SCAISPEAK_SCAIKEY_ISSUER === undefined ? undefined : {
      url: env.SCAISPEAK_SCAIKEY_ISSUER,
      audience: env.SCAISPEAK_SCAIKEY_AUDIENCE
    },
    drive: env.SCAISPEAK_SCAIDRIVE_URL === undefined ? undefined : {
      url: env.SCAISPEAK_SCAIDRIVE_URL.replace(/\/+$/u, ""),
      audience: env.SCAISPEAK_SCAIDRIVE_AUDIENCE ?? env.SCAISPEAK_SCAIDRIVE_URL,
      issuer: env.SCAISPEAK_SCAIKEY_ISSUER!,
      clientId: env.SCAISPEAK_SCAIKEY_CLIENT_ID!,
      clientSecret: env.SCAISPEAK_SCAIKEY_CLIENT_SECRET!
    },
    outbound: {
      ports: (env.SCAISPEAK_OUTBOUND_PORTS ?? ["443"]).map(Number),
      vouched: env.SCAISPEAK_OUTBOUND_ALLOW ?? []
    },
    recordingKeepMs: env.SCAISPEAK_RECORDING_KEEP_MS ?? 600_000,
    consentAlignment: {
      mode: env.SCAISPEAK_CONSENT_ALIGNMENT ?? "off",
      scoreMin: env.SCAISPEAK_CONSENT_ALIGNMENT_MIN ?? consentAlignmentMin
    },
    encoderWorkers: env.SCAISPEAK_ENCODER_WORKERS ?? availableParallelism(),
    bodyLimitBytes: env.SCAISPEAK_BODY_LIMIT_BYTES ?? 1 << 20,
    upload: {
      limitBytes: env.SCAISPEAK_UPLOAD_LIMIT_BYTES ?? 32 * 2 ** 20,
      // Below the 60 s that the HTTP server gives a whole request, so that the refusal says what it is about.
      timeoutMs: env.SCAISPEAK_UPLOAD_TIMEOUT_MS ?? 50_000
    },
    preflight,
    ffmpeg: env.SCAISPEAK_FFMPEG ?? "ffmpeg",
    vadModel: env.SCAISPEAK_VAD_MODEL,
    tenantConcurrency: env.SCAISPEAK_TENANT_CONCURRENCY ?? 0,
    tenantSessions: env.SCAISPEAK_TENANT_SESSIONS ?? 0,
    stream: {
      leadMs: env.SCAISPEAK_STREAM_LEAD_MS ?? 5000,
      writeMs: env.SCAISPEAK_STREAM_WRITE_MS ?? 30_000,
      idleMs: env.SCAISPEAK_STREAM_IDLE_MS ?? 60_000,
      sessionMs: env.SCAISPEAK_STREAM_SESSION_MS ?? 3_600_000,
      resumeMs: env.SCAISPEAK_STREAM_RESUME_MS ?? 30_000
    },
    pingMs: env.SCAISPEAK_SOCKET_PING_MS ?? 20_000,
    rateLimits: {
      key: env.SCAISPEAK_RATE_LIMIT_KEY ?? limits.key,
      user: env.SCAISPEAK_RATE_LIMIT_USER ?? limits.user,
      tenant: env.SCAISPEAK_RATE_LIMIT_TENANT ?? limits.tenant,
      partner: env.SCAISPEAK_RATE_LIMIT_PARTNER ?? limits.partner
    },
    asyncThresholdChars: env.SCAISPEAK_ASYNC_THRESHOLD_CHARS ?? 500,
    jobs: {
      concurrency: env.SCAISPEAK_JOBS_CONCURRENCY ?? availableParallelism(),
      leaseMs: env.SCAISPEAK_JOBS_LEASE_MS ?? 30_000,
      keepMs: jobs.keepMs,
      retentionMs: jobs.retentionMs
    },
    firstAudioTimeoutMs: env.SCAISPEAK_FIRST_AUDIO_TIMEOUT_MS ?? 15_000,
    chunkTimeoutMs: env.SCAISPEAK_CHUNK_TIMEOUT_MS ?? 15_000,
    breaker: {
      failures: env.SCAISPEAK_BREAKER_FAILURES ?? 3,
      openMs: env.SCAISPEAK_BREAKER_OPEN_MS ?? 1000
    },
    stallMs: env.SCAISPEAK_STALL_MS ?? 60_000,
    drainMs: env.SCAISPEAK_DRAIN_MS ?? 10_000,
    otlpEndpoint: env.SCAISPEAK_OTLP_ENDPOINT,
    logLevel: env.SCAISPEAK_LOG_LEVEL ?? "info",
    logFormat: env.SCAISPEAK_LOG_FORMAT ?? (process.stdout.isTTY ? "pretty" : "json")
  })
}

export type Settings = Result.Result.Success<ReturnType<typeof complete>>

/** Settings that do not decode: one line each, the variable first. */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  lines: Schema.Array(Schema.String)
}) {
  override readonly message = this.lines.join("\n")
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes an environment. A variable of ours that does not exist is an error too: a typo must not pass for a default. */
export const decode = (env: Record<string, string | undefined>): Result.Result<Settings, ConfigInvalid> => {
  const ours = Object.fromEntries(
    Object.entries(env).filter(([name, value]) =>
      name.startsWith("SCAISPEAK_") && !name.startsWith("SCAISPEAK_TEST_") && value !== undefined && value !== ""
    )
  ) as Record<string, string>
  const decoded = Schema.decodeUnknownResult(schema)(ours, { errors: "all", onExcessProperty: "error" })
  if (Result.isFailure(decoded)) {
    const lines = format(decoded.failure.issue).issues.map((issue) => {
      const name = String(issue.path?.[0] ?? "")
      return name in variables ? `${name}: ${issue.message}` : `${name}: no such setting`
    })
    return Result.fail(new ConfigInvalid({ lines }))
  }
  return Result.mapError(complete(decoded.success), (lines) => new ConfigInvalid({ lines }))
}

const dotEnv = (): Record<string, string | undefined> => {
  try {
    return parseEnv(readFileSync(".env", "utf8"))
  } catch {
    return {}
  }
}

/** Each setting's variable, meaning, and where its value comes from; values of secrets stay unread. */
export const describe = (): ReadonlyArray<
  { name: string; meaning: string; source: "environment" | ".env" | "default" }
> => {
  const file = dotEnv()
  return Object.entries(variables).map(([name, [, meaning]]) => ({
    name,
    meaning,
    source: process.env[name] ? "environment" : file[name] ? ".env" : "default"
  }))
}

export class Config extends Context.Service<Config, Settings>()("scaispeak/Config") {
  static readonly layer = Layer.effect(
    Config,
    Effect.suspend(() => Effect.fromResult(decode({ ...dotEnv(), ...process.env })))
  )
  static readonly layerOf = (settings: Settings) => Layer.succeed(Config, settings)
}
