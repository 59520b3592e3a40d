import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { decideConsent, decideReference, type PreflightMetrics } from "../../src/domain/Preflight.ts"

const limits = { durationMsMin: 5000, durationMsMax: 25_000, voiceActivityMin: 0.4, peakDbfsMax: -0.5, snrDbMin: 15 }
const good: PreflightMetrics = {
  duration_ms: 10_000,
  voice_activity_ratio: 0.8,
  peak_dbfs: -6,
  snr_db: 30,
  sample_rate: 48_000,
  channels: 1,
  clipping_ratio: 0,
  bandwidth_hz: 8000
}

const references: ReadonlyArray<readonly [Partial<PreflightMetrics>, ReadonlyArray<string>]> = [
  [{}, []],
  [{ duration_ms: 4999 }, ["duration_below_minimum"]],
  [{ duration_ms: 5000 }, []],
  [{ duration_ms: 25_000 }, []],
  [{ duration_ms: 25_001 }, ["duration_above_maximum"]],
  [{ voice_activity_ratio: 0.4 }, []],
  [{ voice_activity_ratio: 0.399 }, ["low_voice_activity_ratio"]],
  [{ peak_dbfs: -0.5 }, []],
  [{ peak_dbfs: 0 }, ["peak_dbfs_above_threshold"]],
  [{ snr_db: 15 }, []],
  [{ snr_db: 14.9 }, ["snr_below_threshold"]],
  [{ clipping_ratio: 0.5, bandwidth_hz: 300, sample_rate: 8000, channels: 8 }, []],
  [
    { duration_ms: 0, voice_activity_ratio: 0, peak_dbfs: 3, snr_db: 0 },
    ["duration_below_minimum", "low_voice_activity_ratio", "peak_dbfs_above_threshold", "snr_below_threshold"]
  ]
]

const consents: typeof references = [
  [{ duration_ms: 2000, voice_activity_ratio: 0.25, peak_dbfs: 0, snr_db: 0 }, []],
  [{ duration_ms: 60_000, voice_activity_ratio: 0.1 }, []],
  [{ duration_ms: 1999 }, ["duration_below_minimum"]],
  [{ duration_ms: 4000, voice_activity_ratio: 0.12 }, ["low_voice_activity_ratio"]],
  [{ duration_ms: 100, voice_activity_ratio: 0 }, ["duration_below_minimum", "low_voice_activity_ratio"]]
]

describe("preflight", () => {
  it.each(references)("of a reference with %o fails for %o", (changes, reasons) => {
    const metrics = { ...good, ...changes }
    assert.deepEqual(decideReference(metrics, limits), { passed: reasons.length === 0, metrics, fail_reasons: reasons })
  })

  it.each(consents)("of a consent with %o fails for %o", (changes, reasons) => {
    const metrics = { ...good, ...changes }
    assert.deepEqual(decideConsent(metrics), { passed: reasons.length === 0, metrics, fail_reasons: reasons })
  })
})
