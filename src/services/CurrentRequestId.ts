/** The id of the request being answered, set for every request by its surface, so that handlers, logs and replies agree. */
import { Context, References } from "effect"
import { RequestId } from "../domain/Ids.ts"

export const CurrentRequestId = Context.Reference<RequestId>("scaispeak/CurrentRequestId", {
  defaultValue: () => RequestId.make("req_none")
})

/** Adds all that a request carries along. What is added lies over the context; `Context.merge` would copy it. */
export const carrying = (requestId: RequestId) => {
  const annotations = { request_id: requestId }
  return <R>(context: Context.Context<R>): Context.Context<R> =>
    context.pipe(
      Context.add(CurrentRequestId, requestId),
      Context.add(References.CurrentLogAnnotations, annotations),
      Context.add(References.TracerSpanAnnotations, annotations)
    )
}
