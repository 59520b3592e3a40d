/**
 * Who may do what to a voice: by its scope and by what the caller is to it. The permission that an endpoint asks for comes
 * on top.
 *
 * Who may not read a voice is never told that it is there; who may read it is told what is missing.
 */
import { PermissionDenied, VoiceNotFound } from "./Failure.ts"
import { isSuperAdmin } from "./Permission.ts"
import type { AuthUser } from "./Permission.ts"
import type { Voice } from "./Voice.ts"

/**
 * `read`: its record, in lists too. `speak`: call it, previews too. `warm`: the warming endpoints. `listen`: the stored
 * clips. `share`, `unshare`: to the tenant and back to its owner.
 */
export const voiceActs = ["read", "speak", "warm", "listen", "update", "share", "unshare", "delete"] as const
export type VoiceAct = typeof voiceActs[number]

/**
 * `administrator`: of the voice's tenant, by the permission `scaispeak:admin`. `colleague`: another user of that tenant.
 * `outsider`: of another tenant, or anybody where the voice has none. A caller may be several of them.
 */
export const voiceRelations = ["owner", "administrator", "colleague", "outsider", "super_admin"] as const
export type VoiceRelation = typeof voiceRelations[number]

type Subject = Pick<Voice, "scope" | "tenantId" | "ownerUserId">

const use: ReadonlyArray<VoiceAct> = ["read", "speak", "warm"]

/**
 * A voice of `user` scope is its owner's alone: nobody else knows of it, whatever their role. One of `tenant` scope is
 * kept by the tenant's administrators; its owner may hear it, take it back and erase it. Global voices are kept elsewhere.
 */
const table: Record<Voice["scope"], Record<VoiceRelation, ReadonlyArray<VoiceAct>>> = {
  user: { owner: voiceActs, administrator: [], colleague: [], outsider: [], super_admin: [] },
  tenant: {
    owner: [...use, "listen", "share", "unshare", "delete"],
    administrator: voiceActs,
    colleague: use,
    outsider: [],
    super_admin: []
  },
  global: { owner: [], administrator: [], colleague: [], outsider: use, super_admin: [...use, "listen"] }
}

/** What the caller is to the voice. */
export const relationsTo = (
  voice: Subject,
  caller: Pick<AuthUser, "tenantId" | "userId" | "role" | "permissions">
): ReadonlyArray<VoiceRelation> => [
  ...(voice.tenantId !== caller.tenantId
    ? ["outsider" as const]
    : voice.ownerUserId === caller.userId
    ? ["owner" as const]
    : ["colleague" as const]),
  ...(voice.tenantId === caller.tenantId && caller.permissions.has("scaispeak:admin")
    ? ["administrator" as const]
    : []),
  ...(isSuperAdmin(caller) ? ["super_admin" as const] : [])
]

/** Whether one of these relations allows the act. */
export const mayTo = (act: VoiceAct, scope: Voice["scope"], relations: ReadonlyArray<VoiceRelation>): boolean =>
  relations.some((relation) => table[scope][relation].includes(act))

/** The failure to answer with, or `undefined` when the caller may. */
export const refusal = (
  act: VoiceAct,
  voice: Subject,
  caller: Pick<AuthUser, "tenantId" | "userId" | "role" | "permissions">
): VoiceNotFound | PermissionDenied | undefined => {
  const relations = relationsTo(voice, caller)
  if (mayTo(act, voice.scope, relations)) return undefined
  return mayTo("read", voice.scope, relations)
    ? new PermissionDenied({ permission: `ownership of the voice: ${needed(act, voice.scope)}` })
    : new VoiceNotFound()
}

const names: Record<VoiceRelation, string> = {
  owner: "its owner",
  administrator: "an administrator of its tenant",
  colleague: "a user of its tenant",
  outsider: "anybody",
  super_admin: "a super admin"
}

const needed = (act: VoiceAct, scope: Voice["scope"]): string => {
  const who = voiceRelations.filter((relation) => mayTo(act, scope, [relation])).map((relation) => names[relation])
  return who.length === 0 ? `no ${scope} voice allows ${act}` : `only ${who.join(" or ")} may ${act}`
}
