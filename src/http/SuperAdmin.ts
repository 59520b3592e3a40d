/** Global voices, nodes and tenants are a super admin's: anybody else is refused, whatever else a key may do. */
import { Effect } from "effect"
import { PermissionDenied } from "../domain/Failure.ts"
import { isSuperAdmin } from "../domain/Permission.ts"
import { Caller } from "./api/Caller.ts"

export const onlySuperAdmins = Effect.flatMap(
  Caller,
  ({ user }) => isSuperAdmin(user) ? Effect.void : Effect.fail(new PermissionDenied({ permission: "super_admin" }))
)
