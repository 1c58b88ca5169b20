/** Text that comes from outside, on a terminal or in a log. */

// Also the marks that reorder text and the separators of lines.
const harmful = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
const combining = /^[\p{Mn}\p{Me}\p{Cf}]$/u
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** The same text with control characters made visible: a table's name must not begin a line or move the cursor. */
export function printable(text: string): string {
  return text.replace(harmful, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** How many columns of a terminal the text takes. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** The text, cut to so many columns, with an ellipsis if something is missing. */
export function clip(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let width = 0
  let kept = ''
  for (const character of text) {
    width += widthOfCharacter(character)
    if (width > columns - 1) break
    kept += character
  }
  return columns > 0 ? `${kept}…` : ''
}

/** Filled up with spaces on the right. */
export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)))
}

function widthOfCharacter(character: string): number {
  if (combining.test(character)) return 0
  return wide.test(character) ? 2 : 1
}
