/** A real Redis on a private folder and a free port, without persistence: what `kill` drops is gone, as in production. */
import { type Guarded, startGuarded } from "./Guarded.ts"
import { locate } from "./Programs.ts"

/** See `Guarded` for what each verb does. */
export interface Redis extends Guarded {
  /** `redis://…/0` */
  readonly url: string
}

/** A private server, for tests that break it or use its channels. Tests that only keep keys take `redisUrl` of `inject.ts`. */
export const startRedis = async (): Promise<Redis> => {
  const server = await locate("redis-server")
  if (server === undefined) throw new Error("redis-server is not installed")
  const guarded = await startGuarded({
    name: "redis",
    command: (folder, port) => [
      server,
      `--port ${port}`,
      "--bind 127.0.0.1",
      `--dir ${folder}`,
      "--save ''",
      "--appendonly no",
      "--databases 4096"
    ],
    greeting: "PING\r\n"
  })
  return { ...guarded, url: `redis://127.0.0.1:${guarded.port}/0` }
}
