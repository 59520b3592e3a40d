/** Reads the header of an MP3 frame (ISO/IEC 11172-3 §2.4.1.3, ISO/IEC 13818-3, and the common extension MPEG-2.5). */

/** kbit/s of layer III by index 1 to 14. */
const kbpsOfMpeg1 = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const kbpsOfMpeg2 = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
/** Hz of MPEG-1 by index; MPEG-2 has half, MPEG-2.5 a quarter. */
const rates = [44_100, 48_000, 32_000]

/** Length of the frame whose header begins at `at`; `undefined` when no layer III header does. */
export const mp3FrameBytes = (file: Uint8Array, at: number): number | undefined => {
  const [sync = 0, kind = 0, coding = 0] = file.subarray(at, at + 3)
  if (sync !== 0xff || (kind & 0xe6) !== 0xe2) return undefined
  const version = (kind >> 3) & 3
  const bitrate = coding >> 4
  const rate = rates[(coding >> 2) & 3]
  if (version === 1 || bitrate === 0 || bitrate === 15 || rate === undefined) return undefined
  const padding = (coding >> 1) & 1
  return version === 3
    ? Math.floor((144_000 * kbpsOfMpeg1[bitrate - 1]!) / rate) + padding
    : Math.floor((72_000 * kbpsOfMpeg2[bitrate - 1]!) / (version === 2 ? rate / 2 : rate / 4)) + padding
}

/** 1 or 2, of the frame whose header begins at `at`. */
export const mp3Channels = (file: Uint8Array, at: number): 1 | 2 => ((file[at + 3] ?? 0) >> 6 === 3 ? 1 : 2)
