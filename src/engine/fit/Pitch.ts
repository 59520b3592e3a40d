/**
 * The pitch of a voice, by YIN (de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music",
 * JASA 111, 2002): the lag at which a frame is most like itself, with the octave errors of autocorrelation designed out.
 */

/** What is searched, Hz: a deep man's creak to a small child's shout. */
const f0HzMin = 60
const f0HzMax = 500
/** A frame's normalised difference below this is voiced: the threshold of the paper is 0.1, made for clean studio speech. */
const thresholdVoiced = 0.2
const windowMillis = 25
/** ms from one frame to the next. */
export const pitchHopMillis = 10

/**
 * Hz in each frame of {@link pitchHopMillis}; 0 where there is no voice. `isHeard` says which frames, by number, are worth
 * the search. Right within 1 % for a periodic signal.
 */
export const trackPitch = (
  samples: Float64Array,
  sampleRate: number,
  isHeard: (frame: number) => boolean = () => true
): Float64Array => {
  // Half the rate costs a quarter, and holds all that pitch is told by.
  const halved = halve(samples)
  const rate = sampleRate / 2
  const hop = Math.round((rate * pitchHopMillis) / 1000)
  const window = Math.round((rate * windowMillis) / 1000)
  const lagMax = Math.ceil(rate / f0HzMin)
  const frames = Math.max(0, Math.floor((halved.length - window - lagMax - 1) / hop) + 1)
  const scratch = new Float64Array(lagMax + 2)
  return Float64Array.from({ length: frames }, (_, frame) => {
    if (!isHeard(frame)) return 0
    const lag = findLag(halved, frame * hop, window, Math.floor(rate / f0HzMax), scratch)
    return lag === 0 ? 0 : rate / lag
  })
}

/** The lag of the first deep dip of the cumulative mean normalised difference (the paper's steps 2 to 5); 0 for none. */
const findLag = (
  samples: Float64Array,
  start: number,
  window: number,
  lagMin: number,
  normalised: Float64Array
): number => {
  let sum = 0
  let lag = 1
  normalised[0] = 1
  for (; lag < normalised.length; lag++) {
    let difference = 0
    for (let i = start; i < start + window; i++) {
      const delta = samples[i]! - samples[i + lag]!
      difference += delta * delta
    }
    sum += difference
    normalised[lag] = sum === 0 ? 1 : (difference * lag) / sum
    // A dip that is over: nothing further on is looked at.
    const before = normalised[lag - 1]!
    if (lag > lagMin && before < thresholdVoiced && normalised[lag]! > before) {
      return lag - 1 + vertex(normalised[lag - 2]!, before, normalised[lag]!)
    }
  }
  return 0
}

/** Where the parabola through three neighbours is lowest, from the middle one. */
const vertex = (left: number, middle: number, right: number): number => {
  const curvature = left - 2 * middle + right
  return curvature <= 0 ? 0 : (left - right) / (2 * curvature)
}

/** Every second sample after a binomial low-pass, whose -3 dB lie at a tenth of the rate. */
const halve = (samples: Float64Array): Float64Array => {
  const at = (i: number) => samples[i] ?? 0
  return Float64Array.from({ length: samples.length >> 1 }, (_, n) => {
    const i = 2 * n
    return (at(i - 2) + at(i + 2) + 4 * (at(i - 1) + at(i + 1)) + 6 * at(i)) / 16
  })
}
