/**
 * The order of test files on a machine that has not run them yet: those that are known to be long begin, so that none of
 * them is left to run by itself at the end. Where a run has been, Vitest knows their durations and needs no help.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Parts of paths; the longest first. The size of a file says how long it takes, but not of these. */
const long = [
  "e2e/FreshStart",
  "e2e/Outages",
  "e2e/Lifecycle",
  "e2e/JobKills",
  "e2e/KilledErasure",
  "e2e/KilledIntake",
  "http/Aborts",
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
