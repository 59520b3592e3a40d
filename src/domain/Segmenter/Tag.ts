/** Follows `<…>` through a text one code point at a time, and finds out late that some `<` is "less than". */

/** Code points; what is longer is no tag. */
const longest = 200
const opening = /[a-z/!]/iu
const naming = /[a-z0-9\s/>:!-]/iu
/** Outside quotes; a full stop or a comma there means that this was never a tag. */
const attribute = /[\p{L}\p{N}\s/>:;=&#%_"'-]/u

export class Tag {
  /** Code points since `<`. */
  private length = 0
  private quote = ""

  get open() {
    return this.length > 0
  }

  begin() {
    this.length = 1
  }

  clear() {
    this.length = 0
    this.quote = ""
  }

  /** What `char` is to the open tag: within, its end, or proof that it is none, which closes it. */
  take(char: string): "within" | "end" | "none" {
    if (this.length > 1 && (char === "\"" || char === "'")) {
      if (this.quote === "") this.quote = char
      else if (this.quote === char) this.quote = ""
    }
    const allowed = this.length === 1 ? opening : this.length === 2 ? naming : attribute
    if (this.length >= longest || (this.quote === "" && !allowed.test(char))) {
      this.clear()
      return "none"
    }
    if (char === ">" && this.quote === "") {
      this.clear()
      return "end"
    }
    this.length++
    return "within"
  }
}
