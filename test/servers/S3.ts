/** An S3-compatible store in memory behind `S3Front`, as a program of its own. */
import { join } from "node:path"
import { type Guarded, startGuarded } from "./Guarded.ts"

/** What a client needs, path style. */
export interface S3Options {
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** See `Guarded` for what each verb does; `kill` loses every object. */
export interface S3 extends Guarded {
  readonly endpoint: string
}

export const credentials = {
  region: "eu-test-1",
  accessKeyId: "scaispeak-test",
  secretAccessKey: "not-a-secret-at-all"
}

/** A private server, for tests that break it. Tests that only use one take `s3Options` of `inject.ts`. */
export const startS3 = async (): Promise<S3> => {
  const guarded = await startGuarded({
    name: "s3",
    command: (_, port) => [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "s3Program.ts"),
      String(port)
    ],
    greeting: "HEAD / HTTP/1.1\r\nhost: s3\r\nconnection: close\r\n\r\n"
  })
  return { ...guarded, endpoint: `http://127.0.0.1:${guarded.port}` }
}
