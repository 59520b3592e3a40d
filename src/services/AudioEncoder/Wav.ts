/**
 * The 44 bytes before PCM in a WAV file (RIFF, WAVE_FORMAT_PCM, 16 bits, mono).
 *
 * While speech is being made nobody knows its length, so both sizes say `0xffffffff`. That is what ffmpeg writes into a
 * pipe. ffmpeg (and with it Chromium) and sox_ng know the value as "until the end"; Python's `wave` takes it for an upper
 * bound and stops with the file. It would read nothing under a size of 0, and SoX's own `0x7ffff000` only SoX knows.
 */
import { bytesPerSample } from "../../domain/AudioFormat.ts"

export const wavHeaderBytes = 44

const unknownSize = 0xffffffff

/** `dataBytes`: the length of the PCM, or nothing when it is not known yet. */
export const wavHeader = (sampleRate: number, dataBytes?: number): Uint8Array<ArrayBuffer> => {
  const header = new Uint8Array(wavHeaderBytes)
  const view = new DataView(header.buffer)
  const ascii = (offset: number, text: string) => header.set(Buffer.from(text, "latin1"), offset)
  ascii(0, "RIFF")
  view.setUint32(4, riffSize(dataBytes), true)
  ascii(8, "WAVEfmt ")
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, sampleRate, true)
  view.setUint32(28, sampleRate * bytesPerSample, true)
  view.setUint16(32, bytesPerSample, true)
  view.setUint16(34, 8 * bytesPerSample, true)
  ascii(36, "data")
  view.setUint32(40, dataBytes ?? unknownSize, true)
  return header
}

const riffSize = (dataBytes: number | undefined): number =>
  dataBytes === undefined ? unknownSize : Math.min(wavHeaderBytes - 8 + dataBytes, unknownSize)
