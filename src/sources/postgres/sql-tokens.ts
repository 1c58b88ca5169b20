/** Cuts SQL into tokens as PostgreSQL does, so that what is quoted is not taken for what is not. */

export interface SqlToken {
  /** A name or key word without quotes, in lower case; a name in quotes; a string; anything else, one character each. */
  readonly kind: 'word' | 'quoted' | 'string' | 'other'
  /** Of a string nothing. */
  readonly text: string
}

/** In this order. PostgreSQL manual, 4.1 Lexical Structure; `standard_conforming_strings` is on. */
const forms: readonly (readonly [kind: SqlToken['kind'] | 'space' | 'comment', pattern: RegExp])[] = [
  ['space', /\s+/y],
  ['comment', /--|\/\*/y],
  // Goes on in a string on another line, with the same escapes.
  ['string', /e'(?:[^'\\]|''|\\[\s\S])*'(?:\s*\n\s*'(?:[^'\\]|''|\\[\s\S])*')*/iy],
  ['string', /(?:[bnx]|u&)?'(?:[^']|'')*'/iy],
  ['string', /\$((?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$[\s\S]*?\$\1\$/iy],
  ['quoted', /(?:u&)?"(?:[^"]|"")+"/iy],
  ['word', /[a-z_\u0080-\uffff][\w$\u0080-\uffff]*/iy],
  ['other', /\d[\w.]*/y],
  ['other', /[^'"\0]/y],
]

/** What keeps it from being one expression, or its tokens. */
export function tokensOf(sql: string): readonly SqlToken[] | string {
  const tokens: SqlToken[] = []
  let position = 0
  while (position < sql.length) {
    const found = firstForm(sql, position)
    if (found === undefined) return 'it contains a quote that is not closed'
    const { kind, text } = found
    if (kind === 'comment') return 'it contains a comment'
    if (kind === 'word') tokens.push({ kind, text: text.toLowerCase() })
    else if (kind === 'quoted') tokens.push({ kind, text: text.replace(/^u&/i, '').slice(1, -1).replaceAll('""', '"') })
    else if (kind === 'string') tokens.push({ kind, text: '' })
    else if (kind === 'other') tokens.push({ kind, text })
    position += text.length
  }
  return tokens
}

function firstForm(sql: string, position: number) {
  for (const [kind, pattern] of forms) {
    pattern.lastIndex = position
    const text = pattern.exec(sql)?.[0]
    if (text !== undefined) return { kind, text }
  }
  return undefined
}
