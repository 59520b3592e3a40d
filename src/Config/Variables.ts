/** Every environment variable of the service, one row each: what it decodes to, and what it means. */
import { Schema } from "effect"
import { address, addresses, apiKey, decimal, flag, list, port, secret, url, wholeNumber } from "./Fields.ts"

/** What a node can load; the last two need a model or a package that is not ours. */
const engineKinds: ReadonlyArray<string> = ["flite", "sherpa", "espeak"]

/** Absent settings take the default given in `complete` of `Config.ts`. */
export const variables = {
  SCAISPEAK_HOST: [Schema.NonEmptyString, "address that HTTP listens on"],
  SCAISPEAK_PORT: [port, "port of HTTP; 0 = any free one, printed"],
  SCAISPEAK_GRPC_PORT: [port, "port of gRPC; 0 = any free one, printed"],
  SCAISPEAK_DATA_DIR: [
    Schema.NonEmptyString,
    "folder of the embedded database, objects and bootstrap key, and of cached clips"
  ],
  SCAISPEAK_DATABASE_URL: [Schema.RedactedFromValue(url("mysql:", "sqlite:")), "mysql://… or sqlite:FILE"],
  SCAISPEAK_REDIS_URL: [Schema.RedactedFromValue(url("redis:", "rediss:")), "redis://…; memory without it"],
  SCAISPEAK_S3_ENDPOINT: [url("http:", "https:"), "S3-compatible store, path style; a folder without it"],
  SCAISPEAK_S3_BUCKET: [Schema.NonEmptyString, "bucket"],
  SCAISPEAK_S3_REGION: [Schema.NonEmptyString, "region"],
  SCAISPEAK_S3_ACCESS_KEY_ID: [secret, "access key"],
  SCAISPEAK_S3_SECRET_ACCESS_KEY: [secret, "its secret"],
  SCAISPEAK_BOOTSTRAP_KEY: [apiKey, "first key, of a super admin in tenant default; only while no other key exists"],
  SCAISPEAK_EMBEDDED_NODE: [flag, "start a node program beside the server"],
  SCAISPEAK_NODES: [
    addresses,
    "engine nodes to poll; others announce themselves by heartbeat"
  ],
  SCAISPEAK_NODE_TOKEN: [
    secret,
    "shared by gateways and nodes; without it heartbeats are taken from this machine only"
  ],
  SCAISPEAK_ENGINE: [
    Schema.NonEmptyString,
    "engine kind that cloned and designed voices are bound to; default: the best that a node has"
  ],
  SCAISPEAK_NODE_ADDRESS: [address, "where the node command listens"],
  SCAISPEAK_NODE_CAPACITY: [wholeNumber(1, 100_000), "calls that a node speaks at once"],
  SCAISPEAK_NODE_ENGINES: [
    list.check(
      Schema.makeFilter((names) =>
        names.length > 0 && names.every((name) => engineKinds.includes(name))
          ? undefined
          : `one or more of ${engineKinds.join(", ")}, comma-separated`
      )
    ),
    "engines that a node loads, its own choice first"
  ],
  SCAISPEAK_NODE_GATEWAYS: [addresses, "host:port,… of the gRPC ports of gateways that a node announces itself to"],
  SCAISPEAK_NODE_ADVERTISE: [address, "where gateways reach the node; the address it listens on otherwise"],
  SCAISPEAK_SHERPA_MODEL: [Schema.NonEmptyString, "folder of the model that engine sherpa loads"],
  SCAISPEAK_ESPEAK_PACKAGE: [
    Schema.NonEmptyString,
    "folder of the optional package @echogarden/espeak-ng-emscripten, where it is not beside ours"
  ],
  SCAISPEAK_REFERENCE_MEMORY_BYTES: [wholeNumber(0, 1e12), "reference clips kept in memory"],
  SCAISPEAK_REFERENCE_DISK_BYTES: [wholeNumber(0, 1e15), "reference clips kept in the data folder"],
  SCAISPEAK_RELAY_KIND: [
    Schema.Literals(["openai", "elevenlabs"]),
    "kind of managed relay; backend B is off without it"
  ],
  SCAISPEAK_RELAY_URL: [url("http:", "https:"), "base URL of the relay, with its version, such as https://host/v1"],
  SCAISPEAK_RELAY_API_KEY: [secret, "key of the relay"],
  SCAISPEAK_RELAY_MODEL: [Schema.NonEmptyString, "model asked of the relay"],
  SCAISPEAK_RELAY_VOICES: [list, "preset speakers of the relay; discovered where it can list them"],
  SCAISPEAK_SCAIKEY_ISSUER: [url("http:", "https:"), "issuer whose JWTs are accepted; API keys only without it"],
  SCAISPEAK_SCAIKEY_AUDIENCE: [Schema.NonEmptyString, "audience that a JWT must name"],
  SCAISPEAK_SCAIKEY_CLIENT_ID: [Schema.NonEmptyString, "client that exchanges users' tokens at the issuer"],
  SCAISPEAK_SCAIKEY_CLIENT_SECRET: [secret, "its secret"],
  SCAISPEAK_SCAIDRIVE_URL: [
    url("http:", "https:"),
    "ScaiDrive that users' files come from; its files are refused without it"
  ],
  SCAISPEAK_SCAIDRIVE_AUDIENCE: [Schema.NonEmptyString, "audience of tokens for ScaiDrive; its URL otherwise"],
  SCAISPEAK_OUTBOUND_PORTS: [
    list.check(
      Schema.makeFilter((ports) => ports.every((port) => /^[1-9]\d{0,4}$/u.test(port)) ? undefined : "port,…")
    ),
    "ports of https addresses that callers may give"
  ],
  SCAISPEAK_OUTBOUND_ALLOW: [
    addresses,
    "host:port,… that callers may give although they are private; plain http is let through there, too"
  ],
  SCAISPEAK_RECORDING_KEEP_MS: [wholeNumber(1000, 86_400_000), "how long a live recording waits for its voice"],
  SCAISPEAK_CONSENT_ALIGNMENT: [
    Schema.Literals(["off", "record", "require"]),
    "whether it is measured how well a spoken consent fits its text, and whether one that does not is refused"
  ],
  SCAISPEAK_CONSENT_ALIGNMENT_MIN: [decimal(0, 1), "least score of a spoken consent, where one is required: 0 to 1"],
  SCAISPEAK_ENCODER_WORKERS: [wholeNumber(1, 256), "threads that resample and encode"],
  SCAISPEAK_BODY_LIMIT_BYTES: [wholeNumber(1024, 1 << 30), "largest request body"],
  SCAISPEAK_UPLOAD_LIMIT_BYTES: [wholeNumber(1024, 1 << 30), "largest uploaded clip"],
  SCAISPEAK_UPLOAD_TIMEOUT_MS: [wholeNumber(100, 600_000), "time that an upload may take as a whole"],
  SCAISPEAK_PREFLIGHT_DURATION_MIN_MS: [wholeNumber(0, 120_000), "shortest reference clip"],
  SCAISPEAK_PREFLIGHT_DURATION_MAX_MS: [wholeNumber(1, 119_999), "longest reference clip"],
  SCAISPEAK_PREFLIGHT_VOICE_ACTIVITY_MIN: [decimal(0, 1), "least share of a reference clip in which somebody speaks"],
  SCAISPEAK_PREFLIGHT_PEAK_DBFS_MAX: [decimal(-120, 40), "loudest sample of a reference clip, dBFS"],
  SCAISPEAK_PREFLIGHT_SNR_DB_MIN: [decimal(0, 100), "least distance of speech from noise in a reference clip, dB"],
  SCAISPEAK_FFMPEG: [Schema.NonEmptyString, "program that decodes AAC; AAC is refused where there is none"],
  SCAISPEAK_VAD_MODEL: [
    Schema.NonEmptyString,
    "file of a Silero VAD model in ONNX, for sherpa-onnx-node; speech is told by energy and periodicity without it"
  ],
  SCAISPEAK_TENANT_CONCURRENCY: [
    wholeNumber(0, 1_000_000),
    "syntheses at once for a tenant in this process; 0 = no limit"
  ],
  SCAISPEAK_TENANT_SESSIONS: [
    wholeNumber(0, 1_000_000),
    "live sessions at once for a tenant in this process; 0 = no limit"
  ],
  SCAISPEAK_RATE_LIMIT_KEY: [wholeNumber(0, 1e9), "requests a minute for an API key; 0 = no limit"],
  SCAISPEAK_RATE_LIMIT_USER: [wholeNumber(0, 1e9), "requests a minute for a user"],
  SCAISPEAK_RATE_LIMIT_TENANT: [wholeNumber(0, 1e9), "requests a minute for a tenant"],
  SCAISPEAK_RATE_LIMIT_PARTNER: [wholeNumber(0, 1e9), "requests a minute for a partner"],
  SCAISPEAK_ASYNC_THRESHOLD_CHARS: [wholeNumber(0, 100_000), "code points; a longer text becomes a job"],
  SCAISPEAK_JOBS_CONCURRENCY: [
    wholeNumber(0, 1000),
    "jobs that this process runs at once, half of them short ones, at least one of each; 0 = none"
  ],
  SCAISPEAK_JOBS_LEASE_MS: [wholeNumber(500, 3_600_000), "silence after which a process's jobs are handed to others"],
  SCAISPEAK_JOBS_KEEP_HOURS: [wholeNumber(1, 8760), "hours that a job's text and audio are kept"],
  SCAISPEAK_JOBS_RETENTION_DAYS: [wholeNumber(1, 36_500), "days that what is left of a job is kept; it goes by months"],
  SCAISPEAK_FIRST_AUDIO_TIMEOUT_MS: [wholeNumber(100, 600_000), "longest wait for a backend's first audio"],
  SCAISPEAK_CHUNK_TIMEOUT_MS: [wholeNumber(100, 600_000), "longest silence between two chunks of a backend"],
  SCAISPEAK_BREAKER_FAILURES: [wholeNumber(1, 1000), "failures in a row after which a node or relay gets no calls"],
  SCAISPEAK_BREAKER_OPEN_MS: [
    wholeNumber(10, 600_000),
    "time until its first probe; doubles with each that fails, to 30 s"
  ],
  SCAISPEAK_STALL_MS: [wholeNumber(100, 3_600_000), "longest time that a client may read nothing of its reply"],
  SCAISPEAK_STREAM_LEAD_MS: [
    wholeNumber(100, 30_000),
    "how far ahead of its listener a live session may be when its next sentence is dispatched"
  ],
  SCAISPEAK_STREAM_WRITE_MS: [
    wholeNumber(100, 600_000),
    "longest time that what is ready for a live session's client may wait for it"
  ],
  SCAISPEAK_STREAM_IDLE_MS: [wholeNumber(1000, 3_600_000), "time after which a live session without any frame ends"],
  SCAISPEAK_STREAM_SESSION_MS: [wholeNumber(1000, 86_400_000), "longest time that a live session may last"],
  SCAISPEAK_STREAM_RESUME_MS: [wholeNumber(0, 600_000), "time that a live session waits for a dropped client"],
  SCAISPEAK_SOCKET_PING_MS: [
    wholeNumber(100, 600_000),
    "time between two pings of a WebSocket; a peer that says nothing from one to the next is gone"
  ],
  SCAISPEAK_DRAIN_MS: [wholeNumber(0, 600_000), "time that running calls get to finish at shutdown"],
  SCAISPEAK_OTLP_ENDPOINT: [url("http:", "https:"), "OpenTelemetry collector (OTLP over HTTP)"],
  SCAISPEAK_LOG_LEVEL: [
    Schema.Literals(["trace", "debug", "info", "warning", "error", "none"]),
    "least severe line that is logged"
  ],
  SCAISPEAK_LOG_FORMAT: [Schema.Literals(["pretty", "json"]), "pretty on a terminal, else json"]
} as const
