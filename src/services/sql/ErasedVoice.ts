/**
 * What is left of the row of a voice that was erased: its id, and for a preset what its listing was, so that it does not
 * come back with the next one. It belongs to nobody: no tenant is called "".
 */

/** Which rows are voices: to be joined to a `WHERE` that does not name a tenant. */
export const isThere = "(tenant_id IS NULL OR tenant_id <> '')"

/** Takes the place of everything that said something about the voice. */
export const erased = {
  scope: "user",
  tenant_id: "",
  owner_user_id: "",
  display_name: "erased",
  description: "",
  language_supported: "[]",
  gender: "unspecified",
  age_hint: null,
  style_tags: "[]",
  embedding_status: "evicted",
  status_reason: null,
  defaults_json: "{}",
  preset: null,
  relay_speaker: null,
  reference_json: null,
  design_prompt: null,
  consent_json: null,
  search_name: "",
  search_text: "",
  search_languages: ""
}
