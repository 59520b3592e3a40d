/**
 * Logs, and, where a collector is configured, traces, metrics and logs over OTLP through the OpenTelemetry SDK.
 *
 * Without a collector spans are not even made: they would cost a request some ten microseconds each for nobody.
 */
import { Effect, Layer, Logger, References } from "effect"
import type { Settings } from "./Config.ts"

const levels = { trace: "Trace", debug: "Debug", info: "Info", warning: "Warn", error: "Error", none: "None" } as const

type TelemetrySettings = Pick<Settings, "logFormat" | "logLevel" | "otlpEndpoint">

/** Standard output belongs to what a command answers; logs go to standard error. */
const logs = ({ logFormat, logLevel }: TelemetrySettings) =>
  Layer.merge(
    Logger.layer([
      logFormat === "json" ? Logger.withConsoleError(Logger.formatJson) : Logger.withConsoleError(Logger.formatLogFmt)
    ]),
    Layer.succeed(References.MinimumLogLevel, levels[logLevel])
  )

/** Loaded only when it is used: the SDK costs a start some hundred milliseconds. */
const exporter = (endpoint: string) =>
  Layer.unwrap(Effect.promise(async () => {
    const [NodeSdk, traces, metrics, otlpLogs, { BatchSpanProcessor }, { PeriodicExportingMetricReader }, sdkLogs] =
      await Promise.all([
        import("@effect/opentelemetry/NodeSdk"),
        import("@opentelemetry/exporter-trace-otlp-proto"),
        import("@opentelemetry/exporter-metrics-otlp-proto"),
        import("@opentelemetry/exporter-logs-otlp-proto"),
        import("@opentelemetry/sdk-trace-base"),
        import("@opentelemetry/sdk-metrics"),
        import("@opentelemetry/sdk-logs")
      ])
    const url = (signal: string) => `${endpoint.replace(/\/+$/u, "")}/v1/${signal}`
    return NodeSdk.layer(() => ({
      resource: { serviceName: "scaispeak" },
      spanProcessor: new BatchSpanProcessor(new traces.OTLPTraceExporter({ url: url("traces") })),
      metricReader: new PeriodicExportingMetricReader({
        exporter: new metrics.OTLPMetricExporter({ url: url("metrics") })
      }),
      logRecordProcessor: new sdkLogs.BatchLogRecordProcessor({
        exporter: new otlpLogs.OTLPLogExporter({ url: url("logs") })
      }),
      loggerMergeWithExisting: true
    }))
  }))

export const layer = (settings: TelemetrySettings) =>
  Layer.provideMerge(
    settings.otlpEndpoint === undefined
      ? Layer.succeed(References.TracerEnabled, false)
      : exporter(settings.otlpEndpoint),
    logs(settings)
  )
