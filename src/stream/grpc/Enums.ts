/** Enums of the wire and literals of the domain name the same things: `STREAM_CODEC_OPUS` is `"opus"`, zero is absence. */

type Names = Readonly<Record<string, number>>

/** A number that names nothing stays one, so that the domain's decoder refuses it by field. */
export const literalOf = (names: Names, value: number): string | undefined =>
  value === 0 ? undefined : Object.keys(names).find((name) => names[name] === value)?.toLowerCase() ?? String(value)

export const numberOf = <N extends Names>(names: N, literal: string): N[keyof N] =>
  names[literal.toUpperCase()] as N[keyof N]

/** A message as JSON has it: snake case, and nothing of what is absent. */
export const snaked = (message: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== undefined).map(([key, value]) => [
      key.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`),
      value
    ])
  )
