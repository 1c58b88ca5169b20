/** Lines for a terminal. */
import { widthOf } from './printable.js'

/** Below that a column of words is harder to read than lines that the terminal breaks. */
const wordsMin = 24

export interface WrapOptions {
  /** Of the terminal. Undefined: there is none, and lines stay whole. */
  readonly columns: number | undefined
  /** Spaces before every line but the first. */
  readonly indent: number
}

/** A line broken between words, so that none is wider than the terminal; a word that is stays whole. */
export function wrapped(line: string, { columns, indent }: WrapOptions): readonly string[] {
  if (columns === undefined || columns - indent < wordsMin) return [line]
  const lines: string[] = []
  let current = line.slice(0, indent)
  let bare = true
  for (const word of line.slice(indent).split(' ')) {
    if (!bare && widthOf(current) + 1 + widthOf(word) > columns) {
      lines.push(current)
      current = ' '.repeat(indent)
      bare = true
    }
    current += bare ? word : ` ${word}`
    bare = false
  }
  return [...lines, current]
}

/** How wide it is. */
export function columnsOfTerminal({ isTTY, columns }: { readonly isTTY?: boolean; readonly columns?: number }) {
  return isTTY === true ? columns : undefined
}
