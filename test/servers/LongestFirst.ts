/**
 * The order of test files: those that are known to be long begin, so that none of them is left to run by itself at the end.
 * The rest goes by what Vitest knows of earlier runs, or by size.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Parts of paths; the longest first. `Outages` holds programs to their times: beside it run those that are one process, and
 * not `FreshStart` with its recognisers.
 */
const long = [
  "e2e/Outages",
  "http/Aborts",
  "stream/Soak",
  "stream/websocket/Hostile",
  "e2e/FreshStart",
  "e2e/Lifecycle",
  "e2e/JobKills",
  "e2e/KilledErasure",
  "e2e/KilledIntake",
  "e2e/Commands",
  "engine/Recognition",
  "services/Preflight",
  "engine/VoiceDesign",
  "services/AudioDecoder",
  "http/Cloning",
  "http/Preflight",
  "stream/Recorder"
]

const rank = ({ moduleId }: TestSpecification) => {
  const found = long.findIndex((part) => moduleId.includes(`/test/${part}.test.ts`))
  return found === -1 ? long.length : found
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const sorted = await super.sort(files)
    const projects = [...new Set(sorted.map(({ project }) => project))]
    return projects.flatMap((project) =>
      sorted.filter((file) => file.project === project).toSorted((a, b) => rank(a) - rank(b))
    )
  }
}
