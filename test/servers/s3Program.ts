/** `node s3Program.ts PORT`: the store and the front that guards it, until the process is ended. */
import { startFauxqs } from "fauxqs"
import { credentials } from "./S3.ts"
import { listen } from "./S3Front.ts"

const store = await startFauxqs({ port: 0, host: "127.0.0.1", logger: false, defaultRegion: credentials.region })
await listen({ port: Number(process.argv[2]), storePort: store.port, ...credentials })
