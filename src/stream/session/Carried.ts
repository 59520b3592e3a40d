/**
 * What one transport has of a session: frames go in at once, and what there is to send comes out, waited for by a fiber
 * (`take`) or handed over as soon as it is there (`pump`).
 */
import { Cause, Effect } from "effect"
import type { StreamSession } from "../StreamService.ts"
import type { Session } from "./Session.ts"

/** `transport`: its number in the session. `now`: ms of the session's clock. */
export const carried = (session: Session, transport: number, now: () => number): StreamSession => {
  const { outbox } = session
  const more = Effect.callback<void>((resume) => {
    const wake = () => resume(Effect.void)
    outbox.wait(wake)
    return Effect.sync(() => outbox.unwait(wake))
  })
  const take: StreamSession["take"] = Effect.suspend(() => {
    const items = session.take(transport, now())
    if (items === "done") return Cause.done()
    return items === "later" ? Effect.andThen(more, take) : Effect.succeed(items)
  })

  const pump: StreamSession["pump"] = (write) =>
    Effect.callback<void>((resume) => {
      let isOn = true
      let isWriting = false
      let isWritten = true
      const end = (how: Effect.Effect<void>) => {
        isOn = false
        resume(how)
      }
      const written = () => {
        isWritten = true
        // Most often the write is over before `write` returns: the loop below goes on.
        if (!isWriting) go()
      }
      const go = (): void => {
        while (isOn && isWritten) {
          const items = session.take(transport, now())
          if (items === "done") return end(Effect.void)
          if (items === "later") return outbox.wait(go)
          isWritten = false
          isWriting = true
          try {
            write(items, written)
          } catch (thrown) {
            return end(Effect.die(thrown))
          }
          isWriting = false
        }
      }
      go()
      return Effect.sync(() => {
        isOn = false
        outbox.unwait(go)
      })
    })

  return {
    ready: session.options.ready,
    receive: (frame) => session.receive(frame, now()),
    take,
    pump,
    ending: () => session.ending ?? { closeCode: 1000, reason: "resumed elsewhere" },
    onCut: (react) => session.onCut(react)
  }
}
