/** The composition root of `worker`: what runs jobs and nothing that listens, on as many machines as are wanted. */
import type { Settings } from "./Config.ts"
import { foundation } from "./Server.ts"

export const layer = (settings: Settings) => foundation(settings)
