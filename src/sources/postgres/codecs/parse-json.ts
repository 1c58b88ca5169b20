/** A JSON parser that loses no digit (RFC 8259). */
import { bareObject } from '../../../core/bare-object.js'
import { jsonNumber } from '../../../core/json-number.js'
import type { Json } from '../../../core/value.js'

/** Deeper documents are not parsed: whoever walks the result may recurse. */
const depthMax = 1_000

/** Numbers of so many characters have no more digits than a double can hold. */
const lengthMax = 15
const powersOfTen: readonly number[] = Array.from({ length: lengthMax + 1 }, (_, exponent) => 10 ** exponent)

/** The names met last, by a hash of their characters. */
const knownNames: (string | undefined)[] = new Array(1_024).fill(undefined)
const knownLengthMax = 64

const quote = 0x22
const backslash = 0x5c
const minus = 0x2d

/**
 * The value of a JSON text. Integers beyond 2^53 are bigints, other numbers that a double cannot hold are
 * `Decimal`; of equal names the last wins. `undefined`: nested more than 1,000 deep.
 * @throws SyntaxError
 */
export function parseJson(text: string): Json | undefined {
  return new Parser(text).parse()
}

class Parser {
  readonly #text: string
  #position = 0
  #depth = 0
  #tooDeep = false

  constructor(text: string) {
    this.#text = text
  }

  parse(): Json | undefined {
    const value = this.#value()
    if (this.#tooDeep) return undefined
    this.#space()
    if (this.#position < this.#text.length) throw this.#error()
    return value
  }

  #value(): Json {
    const code = this.#space()
    if (code === quote) return this.#string()
    if (code === 0x7b) return this.#object()
    if (code === 0x5b) return this.#array()
    if (code === minus || (code >= 0x30 && code <= 0x39)) return this.#number()
    if (code === 0x74) return this.#word('true', true)
    if (code === 0x66) return this.#word('false', false)
    if (code === 0x6e) return this.#word('null', null)
    throw this.#error()
  }

  #object(): Json {
    const object: { [name: string]: Json } = bareJson()
    this.#position += 1
    if (!this.#enter()) return null
    if (this.#space() === 0x7d) {
      this.#position += 1
      this.#depth -= 1
      return object
    }
    for (;;) {
      if (this.#space() !== quote) throw this.#error()
      const name = this.#name()
      if (this.#space() !== 0x3a) throw this.#error()
      this.#position += 1
      object[name] = this.#value()
      if (this.#tooDeep) return null
      const code = this.#space()
      this.#position += 1
      if (code === 0x7d) break
      if (code !== 0x2c) throw this.#error()
    }
    this.#depth -= 1
    return object
  }

  #array(): Json {
    const array: Json[] = []
    this.#position += 1
    if (!this.#enter()) return null
    if (this.#space() === 0x5d) {
      this.#position += 1
      this.#depth -= 1
      return array
    }
    for (;;) {
      array.push(this.#value())
      if (this.#tooDeep) return null
      const code = this.#space()
      this.#position += 1
      if (code === 0x5d) break
      if (code !== 0x2c) throw this.#error()
    }
    this.#depth -= 1
    return array
  }

  #enter(): boolean {
    this.#depth += 1
    this.#tooDeep ||= this.#depth > depthMax
    return !this.#tooDeep
  }

  /**
   * A string whose text is likely to have been a name before. A name that the engine knows already is found much faster
   * than one that was just cut out of a text, which it has to look up among all names.
   */
  #name(): string {
    const text = this.#text
    const start = this.#position + 1
    let position = start
    let hash = 0
    for (;;) {
      const code = text.charCodeAt(position)
      if (code === quote) break
      if (code === backslash || Number.isNaN(code)) return this.#string()
      hash = (hash * 31 + code) | 0
      position += 1
    }
    this.#position = position + 1
    const slot = hash & (knownNames.length - 1)
    const known = knownNames[slot]
    if (known !== undefined && isAt(known, text, start, position)) return known
    const name = text.slice(start, position)
    if (name.length <= knownLengthMax) knownNames[slot] = name
    return name
  }

  #string(): string {
    const text = this.#text
    const start = this.#position + 1
    let position = start
    for (;;) {
      const code = text.charCodeAt(position)
      if (code === quote) break
      if (code === backslash) return this.#escapedString(position)
      if (Number.isNaN(code)) throw this.#error()
      position += 1
    }
    this.#position = position + 1
    return text.slice(start, position)
  }

  /** A string with escapes is rare, and the platform's parser knows them all. */
  #escapedString(firstEscape: number): string {
    const start = this.#position
    let position = firstEscape
    for (;;) {
      const code = this.#text.charCodeAt(position)
      if (code === quote) break
      if (Number.isNaN(code)) throw this.#error()
      position += code === backslash ? 2 : 1
    }
    this.#position = position + 1
    return JSON.parse(this.#text.slice(start, position + 1))
  }

  #number(): Json {
    const text = this.#text
    const start = this.#position
    const negative = text.charCodeAt(start) === minus
    let position = negative ? start + 1 : start
    let value = 0
    let point = -1
    for (;;) {
      const code = text.charCodeAt(position)
      if (code >= 0x30 && code <= 0x39) value = value * 10 + code - 0x30
      else if (code === 0x2e && point < 0) point = position
      else if (code === 0x65 || code === 0x45) return this.#longNumber(start)
      else break
      position += 1
    }
    if (position - start > lengthMax) return this.#longNumber(start)
    if (position === (negative ? start + 1 : start)) throw this.#error()
    this.#position = position
    // The quotient of two integers that a double holds exactly is the double nearest to the decimal.
    const size = point < 0 ? value : value / (powersOfTen[position - point - 1] ?? 1)
    return negative ? -size : size
  }

  /** A number with an exponent, or with more digits than surely fit. */
  #longNumber(start: number): Json {
    const text = this.#text
    let position = start
    let whole = true
    for (;;) {
      const code = text.charCodeAt(position)
      if (code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b) whole = false
      else if (!(code >= 0x30 && code <= 0x39) && code !== minus) break
      position += 1
    }
    this.#position = position
    return jsonNumber(text.slice(start, position), whole)
  }

  #word<Word extends Json>(word: string, value: Word): Word {
    if (!this.#text.startsWith(word, this.#position)) throw this.#error()
    this.#position += word.length
    return value
  }

  /** The next character that is not blank; NaN at the end. */
  #space(): number {
    for (;;) {
      const code = this.#text.charCodeAt(this.#position)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code
      this.#position += 1
    }
  }

  #error(): SyntaxError {
    return new SyntaxError(`Invalid JSON at character ${this.#position}`)
  }
}

/** Whether the text has this name from `start` to `end`. */
function isAt(name: string, text: string, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let index = 0; index < name.length; index += 1) {
    if (name.charCodeAt(index) !== text.charCodeAt(start + index)) return false
  }
  return true
}

function bareJson(): { [name: string]: Json } {
  return bareObject() as { [name: string]: Json }
}
