/**
 * `proto/scaispeak/v1/speak.proto` against the schemas that JSON passes through: both name the same frames, fields and
 * literals, of the same kinds, and leave the same ones out.
 */
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf"
import type { DescField, DescMessage } from "@bufbuild/protobuf"
import { FeatureSet_FieldPresence, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt"
import { describe, it } from "@effect/vitest"
import { Schema, SchemaAST } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { JobRecord } from "../../../src/domain/JobRecord.ts"
import { SpeakRequest } from "../../../src/domain/SpeakRequest.ts"
import { clientFrames, Open } from "../../../src/domain/stream/ClientFrame.ts"
import { serverFrames } from "../../../src/domain/stream/ServerFrame.ts"
import { Cursor, voiceFilterFields } from "../../../src/domain/VoiceFilter.ts"

import { SpeakReply } from "../../../src/http/api/Speech.ts"
import { VoiceRecord } from "../../../src/http/api/Voices.ts"

const descriptors = join(import.meta.dirname, "../../../src/proto/descriptors.binpb")
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)))
const message = (name: string): DescMessage => {
  const found = registry.getMessage(`scaispeak.v1.${name}`)
  assert.ok(found !== undefined, name)
  return found
}

type Shape = string | { readonly [field: string]: Shape }
type Fields = Record<string, Shape>

/** A schema's encoded side: `?` marks what may be absent (or null, which this wire spells as absence), `[]` many. */
const ofSchema = (ast: SchemaAST.AST): Shape => {
  switch (ast._tag) {
    case "String":
    case "Boolean":
      return ast._tag.toLowerCase()
    case "Number":
      return "number"
    case "Literal":
      return typeof ast.literal === "string" ? `one of ${ast.literal.toLowerCase()}` : typeof ast.literal
    case "Objects":
      return Object.fromEntries(ast.propertySignatures.map(({ name, type }) => {
        const [item, many] = type._tag === "Arrays" && type.rest.length > 0 ? [type.rest[0]!, "[]"] : [type, ""]
        const absent = many === "" && (SchemaAST.isOptional(type) || isNullable(type)) ? "?" : ""
        return [`${String(name)}${many}${absent}`, ofSchema(item)]
      }))
    case "Arrays":
      // `[from, to)`.
      return { from: ofSchema(ast.elements[0]!), to: ofSchema(ast.elements[1]!) }
    case "Union": {
      const types = ast.types.filter(({ _tag }) => _tag !== "Null")
      if (types.length === 1) return ofSchema(types[0]!)
      const literals = types.map((type) => type._tag === "Literal" ? String(type.literal) : "")
      // Numbers are not enumerated on this wire, and codes neither: there will be more of them.
      if (types.every((type) => type._tag === "Literal" && typeof type.literal === "number")) return "number"
      if (literals.every((literal) => /^[A-Z_]{2,}$/u.test(literal))) return "string"
      return `one of ${literals.map((literal) => literal.toLowerCase()).toSorted().join(", ")}`
    }
    default:
      throw new Error(`no shape for ${ast._tag}`)
  }
}

const isNullable = (type: SchemaAST.AST): boolean =>
  type._tag === "Union" && type.types.some(({ _tag }) => _tag === "Null")

const fieldsOf = (schema: Schema.Top): Fields => ofSchema(SchemaAST.toEncoded(schema.ast)) as Fields

/** The same of a message. An enum's zero and an unset message are absence. */
const ofMessage = ({ fields }: DescMessage): Fields =>
  Object.fromEntries(fields.map((field) => {
    const mayBeAbsent = field.presence === FeatureSet_FieldPresence.EXPLICIT && field.fieldKind === "scalar"
    const suffix = field.fieldKind === "list" ? "[]" : mayBeAbsent ? "?" : ""
    return [`${field.name}${suffix}`, ofField(field)]
  }))

const ofField = (field: DescField): Shape => {
  if (field.message !== undefined) return ofMessage(field.message)
  if (field.enum !== undefined) {
    const prefix = field.enum.sharedPrefix?.length ?? 0
    const names = field.enum.values.filter(({ number }) => number !== 0).map(({ name }) => name.toLowerCase())
    return `one of ${names.map((name) => name.slice(prefix)).toSorted().join(", ")}`
  }
  if (field.scalar === undefined) throw new Error("no shape")
  return scalars[field.scalar]!
}

/** `ScalarType`: double, uint64, bool, string, bytes, uint32. */
const scalars: Record<number, string> = {
  1: "number",
  4: "number",
  8: "boolean",
  9: "string",
  12: "bytes",
  13: "number"
}

/** Presence of enums and messages is implicit on the wire: what may be absent is compared for scalars alone. */
const comparable = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, shape]) => {
      const isScalar = typeof shape === "string" && !shape.startsWith("one of")
      return [isScalar ? name : name.replace("?", ""), typeof shape === "string" ? shape : comparable(shape)]
    }).toSorted(([a], [b]) => String(a) < String(b) ? -1 : 1)
  )

const without = (fields: Fields, ...names: ReadonlyArray<string>): Fields => {
  for (const name of names) assert.ok(name in fields, `${name} is not there`)
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))
}
const frames = (schemas: ReadonlyArray<Schema.Top>) =>
  new Map(schemas.map((schema) => {
    const { type, ...fields } = fieldsOf(schema)
    return [String(type).replace("one of ", ""), fields]
  }))

describe.each(
  [
    ["ClientFrame", frames([Open, ...clientFrames]), []],
    ["ServerFrame", frames(serverFrames), ["audio"]]
  ] as const
)("%s", (name, schemas, beside) => {
  const cases = new Map(message(name).fields.map((field) => [field.name, field.message]))

  it("has a case for each frame, and no other", () => {
    assert.deepEqual([...cases.keys()].toSorted(), [...schemas.keys(), ...beside].toSorted())
  })

  it.each([...schemas])("%s has the same fields", (type, fields) => {
    const found = cases.get(type)
    assert.ok(found !== null && found !== undefined, type)
    assert.deepEqual(comparable(ofMessage(found)), comparable(fields))
  })
})

describe("messages of single calls", () => {
  it("SpeakRequest is the body of POST /speak, but for what answers later or elsewhere", () =>
    assert.deepEqual(
      comparable(ofMessage(message("SpeakRequest"))),
      comparable(without(fieldsOf(SpeakRequest), "force_async?", "save_to?", "callback_url?"))
    ))

  it("ListVoicesRequest is the query of GET /voices", () => {
    const query = Schema.Struct({
      ...voiceFilterFields,
      gender: Schema.optionalKey(Schema.String),
      limit: Schema.optionalKey(Schema.Number),
      cursor: Schema.optionalKey(Cursor)
    })
    assert.deepEqual(comparable(ofMessage(message("ListVoicesRequest"))), comparable(fieldsOf(query)))
  })

  it("SpeakHeader says what the JSON of POST /speak says", () => {
    const reply = Object.keys(fieldsOf(SpeakReply))
    const header = Object.keys(ofMessage(message("SpeakHeader")))
    // The request's own voice, and the type of the bytes.
    const more = ["content_type", "voice_id"]
    assert.deepEqual(header.filter((name) => !more.includes(name)).filter((name) => !reply.includes(name)), [])
  })

  it("Voice is the record of GET /voices, with times in ms, backends as a list, and genders as words", () => {
    const { "license?": license, ...record } = without(
      fieldsOf(VoiceRecord),
      "backends",
      "gender",
      "created_at",
      "updated_at"
    )
    const voice = without(ofMessage(message("Voice")), "backends[]", "gender", "created_at_ms", "updated_at_ms")
    const { "license": wireLicense, ...wire } = voice
    assert.deepEqual(comparable(wire), comparable(record))
    assert.deepEqual(
      comparable(without(wireLicense as Fields, "expires_at_ms?")),
      comparable(without(license as Fields, "expires_at?"))
    )
  })

  it("Job is the record of GET /speak/jobs/{job_id}, with times in ms, its progress beside the rest, and no callback", () => {
    const record = without(
      fieldsOf(JobRecord),
      "callback?",
      "audio_url?",
      "audio_duration_ms?",
      ...times.map(([name]) => name)
    )
    const { progress, ...rest } = record
    const wire = without(ofMessage(message("Job")), ...times.map(([, name]) => name))
    assert.deepEqual(comparable(wire), comparable({ ...rest, ...(progress as Fields) }))
  })
})

const times = [
  ["created_at", "created_at_ms"],
  ["started_at?", "started_at_ms?"],
  ["finished_at?", "finished_at_ms?"],
  ["expires_at", "expires_at_ms"]
] as const
