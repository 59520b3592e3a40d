/**
 * Blobs by key: reference clips, consent recordings, licence documents, job outputs, kept replies.
 *
 * A put appears whole or not at all, and replaces at once: a reader gets the old bytes or the new ones, never a mixture.
 * Keys are made by this service, never by a caller, so one that breaks the rules of `ObjectStore/Keys.ts` is a defect.
 *
 * Layers: `ObjectStore/Filesystem.ts` and `ObjectStore/S3.ts`.
 */
import { Context, Schema } from "effect"
import type { Effect, Scope, Stream } from "effect"
import type { StorageUnavailable } from "../domain/Failure.ts"

/** Nothing is kept under this key. Which answer that makes is the asking service's to decide. */
export class ObjectNotFound extends Schema.TaggedError<ObjectNotFound>()("ObjectNotFound", {
  key: Schema.String
}) {}

export interface ObjectFacts {
  /** Bytes of the whole object, whatever range was asked for. */
  readonly size: number
  readonly contentType: string
  /** Quoted, as HTTP has it; another one whenever the bytes are others. */
  readonly etag: string
}

export interface StoredObject extends ObjectFacts {
  /** To be run once, while the scope is open. */
  readonly body: Stream.Stream<Uint8Array, StorageUnavailable>
}

export interface ObjectRange {
  /** Bytes skipped. At or past the end the body is empty. */
  readonly offset: number
  /** Bytes wanted; absent or past the end: what there is. */
  readonly length?: number
}

export class ObjectStore extends Context.Service<ObjectStore, {
  /** Failing or interrupted it leaves the old object or, when the last byte was out already, the new one. */
  readonly put: <E = never, R = never>(
    key: string,
    body: Uint8Array | Stream.Stream<Uint8Array, E, R>,
    options: { readonly contentType: string }
  ) => Effect.Effect<ObjectFacts, StorageUnavailable | E, R>
  /** Opens the object. The file handle or socket behind it is given back when the scope closes. */
  readonly get: (
    key: string,
    range?: ObjectRange
  ) => Effect.Effect<StoredObject, ObjectNotFound | StorageUnavailable, Scope.Scope>
  /** The whole of a small object. */
  readonly read: (key: string) => Effect.Effect<Uint8Array, ObjectNotFound | StorageUnavailable>
  readonly head: (key: string) => Effect.Effect<ObjectFacts, ObjectNotFound | StorageUnavailable>
  /** Removing what is not there is no failure. */
  readonly remove: (key: string) => Effect.Effect<void, StorageUnavailable>
  /** Removes every object whose key begins with `prefix`, which ends in `/`; says how many. */
  readonly removeAll: (prefix: string) => Effect.Effect<number, StorageUnavailable>
  /** Every object whose key begins with `prefix`, which ends in `/`; in no promised order. */
  readonly list: (
    prefix: string
  ) => Stream.Stream<{ readonly key: string; readonly size: number }, StorageUnavailable>
  /** Answers within a second. */
  readonly health: Effect.Effect<void, StorageUnavailable>
}>()("scaispeak/ObjectStore") {}
