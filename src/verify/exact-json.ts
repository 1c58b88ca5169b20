/** JSON with its numbers as they are written. */

/** The text of a JSON number. */
export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type ExactJson = null | boolean | string | JsonNumber | readonly ExactJson[] | ReadonlyMap<string, ExactJson>

const plainNumber = /^-?\d+(?:\.\d+)?$/
const plainString = /^"[^"\\]*"$/
const token = /"([^"\\]*(?:\\.[^"\\]*)*)"|-?\d[\d.eE+-]*/g

/**
 * Parses JSON. Of duplicate keys the last one wins. Strings and numbers are first marked (`"s…"`, `"n…"`), so that the
 * built-in parser, which rounds numbers, never sees one.
 */
export function parseExactJson(text: string): ExactJson {
  if (plainNumber.test(text)) return new JsonNumber(text)
  if (plainString.test(text)) return text.slice(1, -1)
  const marked = text.replace(token, (found, string: string | undefined) =>
    string === undefined ? `"n${found}"` : `"s${string}"`,
  )
  const parsed: unknown = JSON.parse(marked)
  return unmark(parsed)
}

function unmark(marked: unknown): ExactJson {
  if (typeof marked === 'string') return marked.startsWith('n') ? new JsonNumber(marked.slice(1)) : marked.slice(1)
  if (marked === null || typeof marked === 'boolean') return marked
  if (Array.isArray(marked)) return marked.map(unmark)
  if (typeof marked !== 'object') throw new Error('JSON was expected.')
  return new Map(Object.entries(marked).map(([name, value]) => [name.slice(1), unmark(value)]))
}

/** Prints without spaces, numbers as they were. */
export function printExactJson(json: ExactJson): string {
  if (json instanceof JsonNumber) return json.text
  if (json instanceof Map) {
    return `{${[...json].map(([name, value]) => `${JSON.stringify(name)}:${printExactJson(value)}`).join(',')}}`
  }
  return Array.isArray(json) ? `[${json.map(printExactJson).join(',')}]` : JSON.stringify(json)
}
