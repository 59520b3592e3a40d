/**
 * A clip that came from outside and lies on this machine for as long as a scope is open: uploaded, recorded live, or fetched
 * from ScaiDrive. What it is, its content says.
 */
export interface ClipFile {
  /** What the caller named it, for refusals. */
  readonly field: string
  readonly path: string
  readonly bytes: number
  /** Lower-case hex. */
  readonly sha256: string
}
