/** Names of tables as people give them: `users`, `sales.*`, `"Sales"."Order.Lines"`. */

/** Which tables to read. */
export interface TableSelection {
  /** Patterns of schema names. Default: all but the system's. */
  readonly schemas?: readonly string[]
  /** Patterns of tables. Without a schema they apply to the selected schemas; with one, to that. Default: all tables. */
  readonly tables?: readonly string[]
  /** Patterns of tables to leave out; without a schema they apply everywhere. */
  readonly excludeTables?: readonly string[]
}

/**
 * Matches names: `name` or `schema.name`, each part as it is (letter case counts) or in double quotes; outside of quotes
 * `*` stands for any characters and `?` for one.
 */
export class TablePattern {
  readonly text: string
  /** Whether it can match only one name. */
  readonly literal: boolean
  readonly #parts: readonly (readonly string[])[]

  constructor(text: string) {
    this.text = text
    this.#parts = partsOf(text)
    this.literal = this.#parts.every((part) => part.every((token) => token !== any && token !== one))
  }

  /** Whether it names a schema, too. */
  get qualified(): boolean {
    return this.#parts.length === 2
  }

  /** The pattern of the schema that it names, without quotes. */
  get schema(): string | undefined {
    if (!this.qualified) return undefined
    return this.#parts[0]?.map((token) => (token === any ? '*' : token === one ? '?' : token)).join('')
  }

  /** Whether it may match a table in this schema. */
  matchesSchema(schema: string): boolean {
    return !this.qualified || glob(this.#parts[0] ?? [], schema)
  }

  matches(schema: string, name: string): boolean {
    const [first = [], second] = this.#parts
    if (this.#parts.length > 2) return false
    return second === undefined ? glob(first, name) : glob(first, schema) && glob(second, name)
  }

  /** As the pattern of a single name, such as a schema's. */
  matchesName(name: string): boolean {
    return this.#parts.length === 1 && glob(this.#parts[0] ?? [], name)
  }
}

/** Tokens are characters, except these two, which no character equals. */
const any = 'any'
const one = 'one'

function partsOf(text: string): string[][] {
  const parts: string[][] = [[]]
  let quoted = false
  const characters = [...text]
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? ''
    const part = parts.at(-1)
    if (character === '"' && quoted && characters[index + 1] === '"') {
      part?.push('"')
      index += 1
    } else if (character === '"') quoted = !quoted
    else if (quoted) part?.push(character)
    else if (character === '.') parts.push([])
    else part?.push(character === '*' ? any : character === '?' ? one : character)
  }
  return parts
}

/** Goes back to the last `*` at most, so that no pattern takes more than quadratic time. */
function glob(tokens: readonly string[], name: string): boolean {
  const characters = [...name]
  let token = 0
  let character = 0
  let star = -1
  let resume = 0
  while (character < characters.length) {
    const current = tokens[token]
    if (current === any) {
      star = token
      resume = character
      token += 1
    } else if (current !== undefined && (current === one || current === characters[character])) {
      token += 1
      character += 1
    } else if (star >= 0) {
      resume += 1
      token = star + 1
      character = resume
    } else return false
  }
  while (tokens[token] === any) token += 1
  return token === tokens.length
}
