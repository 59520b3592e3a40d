import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { Role } from "../../src/domain/Permission.ts"
import { isVisibleTo, VoiceScope } from "../../src/domain/Voice.ts"
import { mayTo, refusal, relationsTo, voiceActs } from "../../src/domain/VoiceAccess.ts"

const acme = TenantId.make("acme")
const owner = UserId.make("ada")
const caller = (tenant: string, user: string, role: Role) => ({
  tenantId: TenantId.make(tenant),
  userId: UserId.make(user),
  role,
  permissions: new Set(granted[role])
})

/** Everybody whom a voice of Ada's at Acme can meet. */
const callers = {
  owner: caller("acme", "ada", "tenant_user"),
  "owner and administrator": caller("acme", "ada", "tenant_admin"),
  "administrator of the tenant": caller("acme", "root", "tenant_admin"),
  "user of the tenant": caller("acme", "bob", "tenant_user"),
  "user of another tenant": caller("globex", "eve", "tenant_user"),
  "a namesake in another tenant": caller("globex", "ada", "tenant_user"),
  "administrator of another tenant": caller("globex", "eve", "tenant_admin"),
  "super admin from elsewhere": caller("default", "su", "super_admin")
}

const voiceOf = (scope: typeof VoiceScope.Type) =>
  scope === "global"
    ? { scope, tenantId: null, ownerUserId: null }
    : { scope, tenantId: acme, ownerUserId: owner }

/** What the answer to a caller is, by scope and act, in the order of {@link voiceActs}. Y: does it; -: 403; .: 404. */
const expected: Record<typeof VoiceScope.Type, Record<keyof typeof callers, string>> = {
  user: {
    owner: "YYYYYYYY",
    "owner and administrator": "YYYYYYYY",
    "administrator of the tenant": "........",
    "user of the tenant": "........",
    "user of another tenant": "........",
    "a namesake in another tenant": "........",
    "administrator of another tenant": "........",
    "super admin from elsewhere": "........"
  },
  tenant: {
    owner: "YYYY-YYY",
    "owner and administrator": "YYYYYYYY",
    "administrator of the tenant": "YYYYYYYY",
    "user of the tenant": "YYY-----",
    "user of another tenant": "........",
    "a namesake in another tenant": "........",
    "administrator of another tenant": "........",
    "super admin from elsewhere": "........"
  },
  global: {
    owner: "YYY-----",
    "owner and administrator": "YYY-----",
    "administrator of the tenant": "YYY-----",
    "user of the tenant": "YYY-----",
    "user of another tenant": "YYY-----",
    "a namesake in another tenant": "YYY-----",
    "administrator of another tenant": "YYY-----",
    "super admin from elsewhere": "YYYY----"
  }
}

const names = Object.keys(callers) as ReadonlyArray<keyof typeof callers>
const cases = VoiceScope.literals.flatMap((scope) =>
  names.flatMap((name) => voiceActs.map((act, i) => ({ scope, name, act, answer: expected[scope][name][i] })))
)

describe("refusal", () => {
  it(`answers as the table says in all ${cases.length} cases`, () => {
    assert.equal(cases.length, 3 * 8 * 8)
    for (const { act, answer, name, scope } of cases) {
      const failure = refusal(act, voiceOf(scope), callers[name])
      const label = `${name} would ${act} a ${scope} voice`
      assert.equal(failure?._tag, { Y: undefined, "-": "PermissionDenied", ".": "VoiceNotFound" }[answer!], label)
    }
  })

  it("hides exactly what lists hide", () => {
    for (const scope of VoiceScope.literals) {
      for (const name of names) {
        const hidden = refusal("read", voiceOf(scope), callers[name]) !== undefined
        assert.equal(isVisibleTo(voiceOf(scope), callers[name]), !hidden, `${scope} ${name}`)
      }
    }
  })

  it("lets nobody do anything to a voice whom it is hidden from", () => {
    for (const scope of VoiceScope.literals) {
      for (const name of names) {
        const relations = relationsTo(voiceOf(scope), callers[name])
        if (mayTo("read", scope, relations)) continue
        assert.ok(voiceActs.every((act) => !mayTo(act, scope, relations)))
      }
    }
  })

  it("names what is missing", () => {
    const messages = (["update", "unshare"] as const).map((act) => {
      const failure = refusal(act, voiceOf("tenant"), callers["user of the tenant"])
      return failure?._tag === "PermissionDenied" ? failure.details : undefined
    })
    assert.deepEqual(messages.flat(), [
      {
        field: "permission",
        message: "ownership of the voice: only an administrator of its tenant may update"
      },
      {
        field: "permission",
        message: "ownership of the voice: only its owner or an administrator of its tenant may unshare"
      }
    ])
  })
})

const shown = { Y: "yes", "-": "403", ".": "404" } as const

const printed = () =>
  VoiceScope.literals.flatMap((scope) => [
    `| ${scope} voice | ${voiceActs.join(" | ")} |`,
    `|---|${"---|".repeat(voiceActs.length)}`,
    ...names.map((name) => {
      const cells = voiceActs.map((act) => {
        const failure = refusal(act, voiceOf(scope), callers[name])
        return shown[failure === undefined ? "Y" : failure._tag === "PermissionDenied" ? "-" : "."]
      })
      return `| ${name} | ${cells.join(" | ")} |`
    }),
    ""
  ])

describe("docs/voices.md", () => {
  it("shows the table as it is", () => {
    const file = new URL("../../docs/voices.md", import.meta.url)
    const text = readFileSync(file, "utf8")
    const current = text.replace(
      /(<!-- access -->\n)[^]*?(<!-- \/access -->)/u,
      (_, before, after) => `${before}\n${printed().join("\n")}\n${after}`
    )
    if (process.env.UPDATE_DOCS) writeFileSync(file, current)
    else {
      assert.equal(text, current, "UPDATE_DOCS=1 npx vitest run test/domain/VoiceAccess.test.ts brings it up to date")
    }
  })
})
