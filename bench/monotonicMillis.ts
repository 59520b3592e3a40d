/** A clock that every process of a machine shares: ms since some moment, which `performance.now()` counts from the start of its own. */
export const monotonicMillis = (): number => {
  const [seconds, nanos] = process.hrtime()
  return seconds * 1000 + nanos / 1e6
}
