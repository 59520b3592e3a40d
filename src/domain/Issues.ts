/** What a schema found wrong, as failures say it: one entry a field, named as the caller wrote it. */
import { SchemaIssue } from "effect"
import { InvalidRequest } from "./Failure.ts"
import type { Detail } from "./Failure.ts"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** `whole` names what failed altogether. */
export const detailsOf = (issue: SchemaIssue.Issue, whole: string): ReadonlyArray<Detail> =>
  format(issue).issues.map(({ message, path = [] }) => ({
    field: path.length === 0 ? whole : path.map(String).join("."),
    message
  }))

export const invalid = (whole: string) => ({ issue }: { readonly issue: SchemaIssue.Issue }): InvalidRequest =>
  new InvalidRequest({ details: detailsOf(issue, whole) })
