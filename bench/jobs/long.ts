/** A hundred thousand characters to one file: how long, and how much memory. */
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { gateway, launchOn } from "../harness.ts"

const characters = 100_000
const sentences = [
  "The birch canoe slid on the smooth planks before the sun was up, and nobody saw it go.",
  "Glue the sheet to the dark blue background, and leave it there until the evening.",
  "It is easy to tell the depth of a well by the sound of a stone that falls.",
  "These days a chicken leg is a rare dish in our town, as everybody knows.",
  "Rice is often served in round bowls, but not always, and not by everyone.",
  "The juice of lemons makes fine punch, if there is enough of it for all of us.",
  "The box was thrown beside the parked truck last night, and was gone by morning."
]

/** A book of ten chapters. */
const book = (() => {
  let text = ""
  for (let chapter = 1, i = 0; text.length < characters; chapter++) {
    text += `${chapter === 1 ? "" : "\n\n"}Chapter ${chapter}\n\n`
    for (const end = (chapter * characters) / 10; text.length < end; i++) {
      text += sentences[(i * 3) % sentences.length] + (i % 6 === 5 ? "\n\n" : " ")
    }
  }
  return `${text.slice(0, characters - 1)}.`
})()

interface Job {
  readonly job_id: string
  readonly status: string
  readonly status_reason: string
  readonly audio_duration_ms: number
  readonly progress: { readonly segments_done: number; readonly segments_total: number }
}

const megabytes = async (pid: number, field: "VmRSS" | "VmHWM"): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, "utf8")
  return Number(new RegExp(`${field}:\\s+(\\d+)`, "u").exec(status)![1]) / 1024
}

const run = async (nodeCount: 1 | 2): Promise<number> => {
  const dataDir = await mkdtemp(join(tmpdir(), "scaispeak-bench-"))
  const nodes = await Promise.all(Array.from({ length: nodeCount }, async (_, core) => {
    const { greeting } = await launchOn({ core }, "../src/main.ts", "node", "--embedded", "--listen", "127.0.0.1:0")
    return JSON.parse(greeting).address as string
  }))
  const env = { SCAISPEAK_DATA_DIR: dataDir, SCAISPEAK_NODES: nodes.join(","), SCAISPEAK_LOG_LEVEL: "warning" }
  const { key, url } = await gateway({ ...env, SCAISPEAK_JOBS_CONCURRENCY: "0" })
  const worker = await launchOn({ env: { ...env, NODE_ENV: "production" } }, "../src/main.ts", "worker")
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
  const ask = async (path: string) =>
    ((await (await fetch(url + path, { headers })).json()) as { readonly data: Job }).data
  const speak = async (text: string) => {
    const body = JSON.stringify({ text, voice_id: "vox_flite_awb", response_format: "mp3", force_async: true })
    const reply = await fetch(`${url}/speak`, { method: "POST", headers, body })
    return ((await reply.json()) as { readonly data: { readonly job_id: string } }).data.job_id
  }
  const ended = async (jobId: string) => {
    let spoken = 0
    for (const began = performance.now();; await sleep(100)) {
      const job = await ask(`/speak/jobs/${jobId}`)
      const { segments_done, segments_total } = job.progress
      if (spoken === 0 && segments_total > 0 && segments_done === segments_total) spoken = performance.now() - began
      if (job.status === "failed") throw new Error(job.status_reason)
      if (job.status === "completed") return { job, spoken, whole: performance.now() - began }
    }
  }
  await ended(await speak(sentences.join(" ")))
  await sleep(2000)
  const idle = await megabytes(worker.pid, "VmRSS")
  await writeFile(`/proc/${worker.pid}/clear_refs`, "5")
  const { job, spoken, whole } = await ended(await speak(book))
  const peak = await megabytes(worker.pid, "VmHWM")
  const file = join(dataDir, "book.mp3")
  const audio = await fetch(`${url}/speak/jobs/${job.job_id}/audio`, { headers })
  await writeFile(file, Buffer.from(await audio.arrayBuffer()))
  const probe = ["-v", "error", "-i", file, "-f", "null", "-progress", "-", "-"]
  const { stderr, stdout } = await promisify(execFile)("ffmpeg", probe)
  const decoded = Number(stdout.match(/out_time_us=(\d+)/gu)?.at(-1)?.slice("out_time_us=".length)) / 1e6
  const timings = await (await fetch(`${url}/speak/jobs/${job.job_id}/timings`, { headers })).json() as {
    readonly chapters: ReadonlyArray<unknown>
    readonly words: ReadonlyArray<unknown>
  }
  console.log(
    `${characters} characters, ${nodeCount} node${nodeCount > 1 ? "s" : ""}: spoken in ${
      (spoken / 1000).toFixed(1)
    } s, one file after ${(whole / 1000).toFixed(1)} s; ${
      (job.audio_duration_ms / 60_000).toFixed(1)
    } min of speech, ffmpeg decodes ${(decoded / 60).toFixed(1)} min${
      stderr === "" ? "" : ` (${stderr.slice(0, 200)})`
    }, ` +
      `${timings.chapters.length} chapters, ${timings.words.length} words; worker ${idle.toFixed(0)} MB idle, ` +
      `${peak.toFixed(0)} MB at most: +${(peak - idle).toFixed(0)} MB`
  )
  await rm(dataDir, { recursive: true, force: true })
  return spoken
}

export const long = async () => {
  const one = await run(1)
  const two = await run(2)
  console.log(`speaking takes two nodes ${(two / one).toFixed(2)} of the time of one`)
}
