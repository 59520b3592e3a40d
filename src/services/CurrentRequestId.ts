/** The id of the request being answered, set for every request by its surface, so that handlers, logs and replies agree. */
import { Context } from "effect"
import { RequestId } from "../domain/Ids.ts"

export const CurrentRequestId = Context.Reference<RequestId>("scaispeak/CurrentRequestId", {
  defaultValue: () => RequestId.make("req_none")
})
