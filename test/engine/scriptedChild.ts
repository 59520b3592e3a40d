/** An engine's process whose model does what each text says, so that every way to break can be tried on real processes. */
import { host } from "../../src/engine/process/Host.ts"
import { CannotLoad, type Piece, Refused } from "../../src/engine/process/Model.ts"
import { Cloning, type SynthesizeRequest } from "../../src/proto/scaiinfer/v1/audio.ts"

export interface Script {
  /** What happens while it loads. */
  readonly load?: "break" | "lasting" | "hang" | "exit" | "mute" | "empty"
}

const sampleRate = 16000
/** A tenth of a second of a sawtooth. */
const tone = () => Int16Array.from({ length: sampleRate / 10 }, (_, i) => ((i % 160) - 80) * 100)

/** Holds the thread: no message is read, no promise settles. */
const block = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)

const word = (text: string) => [{ text, start: 0, end: sampleRate / 20 }]

/** How many were made since it started. */
let megabytes = 0

const pieceOf = (text: string, script: Script): Piece => {
  switch (text) {
    case "exit":
      return () => process.exit(3)
    case "hang":
      return () => new Promise(() => {})
    case "block":
      return block
    case "break":
      return () => {
        throw new Error("the model broke")
      }
    case "refuse":
      return () => {
        throw new Refused("text", "will not say that")
      }
    case "deaf":
      // Goes on whatever its listener wants.
      return (out) => {
        setInterval(() => out.audio(tone()), 20)
        return new Promise(() => {})
      }
    case "nothing":
      return () => {}
    case "megabyte":
      return (out) => {
        megabytes++
        out.audio(new Int16Array(512 * 1024).fill(1000))
      }
    case "report":
      return (out) => void out.audio(tone(), word(`${megabytes}`))
    case "slow":
      return async (out) => {
        await new Promise((resolve) => setTimeout(resolve, 100))
        out.audio(tone())
      }
    case "probe":
      if (script.load === "hang") return () => new Promise(() => {})
      if (script.load === "exit") {
        return () => {
          console.error("terminate called: bad model")
          process.abort()
        }
      }
      if (script.load === "mute") return (out) => void out.audio(new Int16Array(1600))
      if (script.load === "empty") return () => {}
  }
  return (out) => void out.audio(tone(), word(text))
}

host<Script>(async (script) => {
  if (script.load === "break") throw new CannotLoad("no such model")
  if (script.load === "lasting") throw new CannotLoad("a package is missing", true)
  return {
    facts: {
      model: "scripted",
      modelVersion: "1",
      languages: ["en"],
      abilities: { cloning: Cloning.UNSPECIFIED, design: false, nativeWordTimes: true, streaming: true },
      presets: [{
        name: "one",
        displayName: "One",
        description: "",
        languages: ["en"],
        gender: "neutral",
        styleTags: []
      }],
      sampleRate,
      deterministic: true,
      honours: ["speed"],
      transcriptNeeded: false
    },
    probe: { text: "probe" } as SynthesizeRequest,
    *pieces({ text }) {
      for (const one of text.split(" ")) yield pieceOf(one, script)
    }
  }
})
