/**
 * A voice of a few kilobytes that sherpa-onnx takes for a Coqui VITS model: each character is a tone of its own pitch.
 *
 * The ONNX graph is `sin(frequency[x] ⊗ time) * loudness[x]`, a row of samples per character, as many as the length scale
 * asks for. Fields and numbers of the protobuf are those of onnx.proto3.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"

export interface OnnxVoice {
  readonly speakers?: number
  /** Another order of inputs than sherpa-onnx gives: it reads the model, and comes to grief when that shall speak. */
  readonly misordered?: boolean
  /** What is written to `scaispeak.json`; no file without it. */
  readonly notes?: unknown
  /** 0 speaks silence. */
  readonly loudness?: number
}

export const sampleRate = 16000
/** At pace 1. */
export const characterSamples = 800
const alphabet = "abcdefghijklmnopqrstuvwxyz 0123456789,'-.!?"

const int64 = 7
const float = 1

/** Writes the files of a model into `folder`, which is made. */
export const writeVoice = async (folder: string, voice: OnnxVoice = {}): Promise<void> => {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, "model.onnx"), model(voice))
  const tokens = [..."_", ...alphabet].map((character, id) => `${character} ${id}\n`)
  await writeFile(join(folder, "tokens.txt"), tokens.join(""))
  if (voice.notes !== undefined) await writeFile(join(folder, "scaispeak.json"), JSON.stringify(voice.notes))
}

const model = ({ loudness = 0.5, misordered = false, speakers = 1 }: OnnxVoice): Uint8Array => {
  const inputs = [value("x", int64, ["1", "L"]), value("x_length", int64, ["1"]), value("scales", float, [3])]
  const symbols = 1 + alphabet.length
  const radians = Array.from({ length: symbols }, (_, i) => (2 * Math.PI * (150 + 20 * i)) / sampleRate)
  const graph = message([
    ...[
      // Samples of a character: characterSamples * scales[1].
      node("Gather", ["scales", "one"], ["scale"]),
      node("Mul", ["scale", "samples"], ["scaled"]),
      node("Cast", ["scaled"], ["count"], { to: int64 }),
      node("Range", ["zero", "count", "step"], ["steps"]),
      node("Cast", ["steps"], ["time"], { to: float }),
      node("Gather", ["radians", "x"], ["pitch"]),
      node("Unsqueeze", ["pitch", "last"], ["column"]),
      node("Mul", ["column", "time"], ["angle"]),
      node("Sin", ["angle"], ["wave"]),
      node("Mul", ["wave", "loudness"], ["spoken"]),
      // Uses the input that only batches need.
      node("Cast", ["x_length"], ["lengths"], { to: float }),
      node("Mul", ["lengths", "nothing"], ["zeros"]),
      node("Add", ["spoken", "zeros"], ["all"]),
      node("Reshape", ["all", "shape"], ["y"])
    ].map((bytes) => field(1, bytes)),
    text(2, "voice"),
    ...[
      ints("one", [1], []),
      ints("zero", [0], []),
      ints("step", [1], []),
      ints("last", [2]),
      ints("shape", [1, 1, -1]),
      floats("samples", [characterSamples], []),
      floats("loudness", [loudness], []),
      floats("nothing", [0], []),
      floats("radians", radians)
    ].map((bytes) => field(5, bytes)),
    ...(misordered ? inputs.toReversed() : inputs).map((bytes) => field(11, bytes)),
    ...(speakers > 1 ? [field(11, value("sid", int64, ["1"]))] : []),
    field(12, value("y", float, ["1", "1", "S"]))
  ])
  return message([
    number(1, 8),
    field(7, graph),
    field(8, message([text(1, ""), number(2, 17)])),
    ...Object.entries({
      model_type: "vits",
      comment: "coqui",
      language: "English",
      frontend: "characters",
      sample_rate: sampleRate,
      n_speakers: speakers,
      add_blank: 0,
      blank_id: 0,
      bos_id: 0,
      eos_id: 0,
      pad_id: 0,
      use_eos_bos: 0
    }).map(([key, value]) => field(14, message([text(1, key), text(2, String(value))])))
  ])
}

type Part = (writer: BinaryWriter) => void

const message = (parts: ReadonlyArray<Part>): Uint8Array => {
  const writer = new BinaryWriter()
  for (const part of parts) part(writer)
  return writer.finish()
}
const field = (no: number, bytes: Uint8Array): Part => (w) => void w.tag(no, WireType.LengthDelimited).bytes(bytes)
const text = (no: number, value: string): Part => (w) => void w.tag(no, WireType.LengthDelimited).string(value)
const number = (no: number, value: number): Part => (w) => void w.tag(no, WireType.Varint).int64(value)

const node = (
  operator: string,
  inputs: ReadonlyArray<string>,
  outputs: ReadonlyArray<string>,
  attributes: Record<string, number> = {}
) =>
  message([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0]!),
    text(4, operator),
    // AttributeProto: name, i, type INT.
    ...Object.entries(attributes).map(([name, value]) =>
      field(5, message([text(1, name), number(3, value), number(20, 2)]))
    )
  ])

/** TensorProto: dims, data_type, float_data or int64_data, name. */
const ints = (name: string, values: ReadonlyArray<number>, dims = [values.length]) =>
  message([...dims.map((n) => number(1, n)), number(2, int64), ...values.map((n) => number(7, n)), text(8, name)])
const floats = (name: string, values: ReadonlyArray<number>, dims = [values.length]) =>
  message([
    ...dims.map((n) => number(1, n)),
    number(2, float),
    ...values.map((n): Part => (w) => void w.tag(4, WireType.Bit32).float(n)),
    text(8, name)
  ])

/** ValueInfoProto of a tensor; a dimension is a size or a name. */
const value = (name: string, type: number, dims: ReadonlyArray<number | string>) =>
  message([
    text(1, name),
    field(
      2,
      message([field(
        1,
        message([
          number(1, type),
          field(
            2,
            message(dims.map((dim) => field(1, message([typeof dim === "number" ? number(1, dim) : text(2, dim)]))))
          )
        ])
      )])
    )
  ])
