/** How a request names a file that lies elsewhere: in ScaiDrive by its id or MCP URI, or behind a link. */
import { Schema } from "effect"

/** Opaque; what can be written in a path as it is. */
const id = "[A-Za-z0-9_-]{1,128}"
export const DriveFileId = Schema.String.check(
  Schema.isPattern(new RegExp(`^${id}$`, "u"), { expected: "a file's id: letters, digits, _ and -" })
)
/** `scaidrive://files/{file_id}`, and as MCP clients write it, `mcp://scaidrive/files/{file_id}`. */
const mcpUri = new RegExp(`^(?:scaidrive://|mcp://scaidrive/)files/(${id})$`, "u")
const McpUri = Schema.String.check(
  Schema.isPattern(mcpUri, { expected: "scaidrive://files/{file_id} or mcp://scaidrive/files/{file_id}" })
)
const ShareUrl = Schema.String.check(Schema.isMaxLength(4096))

/** Exactly one of the three. */
export const DriveReference = Schema.Struct({
  file_id: Schema.optionalKey(DriveFileId),
  mcp_uri: Schema.optionalKey(McpUri),
  share_url: Schema.optionalKey(ShareUrl)
}).check(
  Schema.makeFilter((given) =>
    Object.keys(given).length === 1 ? undefined : "exactly one of file_id, mcp_uri and share_url"
  )
)
export type DriveReference = typeof DriveReference.Type

/** The file of the configured ScaiDrive that is named; undefined when it is a link. */
export const fileIdOf = ({ file_id, mcp_uri }: DriveReference): string | undefined =>
  file_id ?? (mcp_uri === undefined ? undefined : mcpUri.exec(mcp_uri)?.[1])
