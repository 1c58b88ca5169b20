/**
 * Which values may be parts of a record id as they are. SurrealDB 3.0 writes numbers into keys in a notation that it does not
 * always read back: most floats and small decimals come back as other numbers, and such records survive `DELETE`; large
 * floats and years of other than four digits make the whole table unreadable. These become text.
 */

/** The smallest decimal that is read back, in digits after the point. */
const leadingZerosMax = 5
const firstKeySecond = Date.parse('0000-01-01T00:00:00Z') / 1000
const lastKeySecond = Date.parse('9999-12-31T23:59:59Z') / 1000

/** A float in a record id: the shortest text that reads back as the same number. There is one zero. */
export function keyNumber(value: number): string {
  return String(value + 0)
}

/** Canonical notation only. */
export function isKeyDecimal(text: string): boolean {
  const zeros = /^-?0\.(0*)/.exec(text)?.[1]
  return zeros === undefined || zeros.length <= leadingZerosMax
}

export function isKeySecond(seconds: number): boolean {
  return seconds >= firstKeySecond && seconds <= lastKeySecond
}
