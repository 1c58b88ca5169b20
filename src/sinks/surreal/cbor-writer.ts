/** Cells as CBOR with SurrealDB's tags, straight from a cursor: no object is made per cell. */
import { dateText, timestampText } from '../../core/calendar.js'
import { canonicalDecimal } from '../../core/decimal.js'
import { durationText } from '../../core/duration.js'
import type { Json, RangeBound, Shape, ValueWriter } from '../../core/value.js'
import { CborBuffer, cbor } from './cbor-buffer.js'
import { putJson } from './cbor-json.js'
import { JsonTextEncoder } from './cbor-json-text.js'
import { isInt64, putBigInteger, putDecimal } from './cbor-number.js'
import { putShape, shapeText } from './cbor-shape.js'
import { isKeyDecimal, isKeySecond, keyNumber } from './key-forms.js'
import { CellSite, type ValueForms } from './types.js'
import { uuidText } from './uuid-text.js'

const secondsPerDay = 86_400
const microsPerSecond = 1_000_000n
/** The first and the last second of the years that a SurrealDB datetime can hold. */
const firstSecond = Date.UTC(-262_143, 0, 1) / 1000
const lastSecond = Date.UTC(262_142, 11, 31, 23, 59, 59) / 1000
const infinityByte = 0x49
const nanByte = 0x4e

const nullBytes = Uint8Array.of(cbor.null)
const boundHeads = { inclusive: Uint8Array.of(0xd8, 50), exclusive: Uint8Array.of(0xd8, 51), unbounded: nullBytes }

/** A range, or a container within one, whose cells are still being written. */
interface OpenCell {
  remaining: number
  /** Goes between two cells. */
  readonly between?: Uint8Array
  /** Goes behind the last cell. */
  readonly after?: Uint8Array
}

/** Writes cells. Set {@link site} before each. */
export class CborWriter extends CborBuffer implements ValueWriter {
  /** The column that the next cells belong to. */
  site: CellSite
  /** Within a record id: one spelling for equal values, only forms that SurrealDB can read back, and never a null. */
  keyed = false
  readonly #open: OpenCell[] = []
  readonly #jsonText = new JsonTextEncoder(this)

  constructor(forms: ValueForms, capacityBytes?: number) {
    super(capacityBytes)
    this.site = new CellSite('', '', forms)
  }

  /** Forgets ranges that an error left open. */
  override reset(capacityBytesMax: number): void {
    super.reset(capacityBytesMax)
    this.#open.length = 0
    this.keyed = false
  }

  null(): void {
    this.putByte(cbor.null)
    this.#end()
  }

  boolean(value: boolean): void {
    this.putByte(value ? cbor.true : cbor.false)
    this.#end()
  }

  integer(value: number | bigint): void {
    if (typeof value === 'number' && Number.isSafeInteger(value)) this.putInteger(value)
    else if (typeof value === 'number' && !Number.isInteger(value)) throw this.site.refuse('a fraction, not an integer')
    else if (this.keyed && !isInt64(BigInt(value))) this.putText(String(value))
    else if (!putBigInteger(this, BigInt(value))) this.site.count('integer')
    this.#end()
  }

  float(value: number): void {
    if (this.keyed) this.putText(keyNumber(value))
    else this.putFloat(value)
    this.#end()
  }

  decimal(text: string): void {
    const first = text.charCodeAt(text.charCodeAt(0) === 0x2d ? 1 : 0)
    if (first === infinityByte || first === nanByte) {
      this.site.count('notANumber')
      this.putFloat(Number(text))
    } else {
      if (this.keyed) this.#keyDecimal(canonicalDecimal(text) ?? text)
      else this.#finiteDecimal(text)
    }
    this.#end()
  }

  string(value: string): void {
    if (!value.isWellFormed()) this.site.count('text')
    this.putText(value)
    this.#end()
  }

  utf8(source: Uint8Array, start: number, end: number): void {
    this.putUtf8(source, start, end)
    this.#end()
  }

  bytes(source: Uint8Array, start: number, end: number): void {
    this.putBytes(source, start, end)
    this.#end()
  }

  uuid(source: Uint8Array, start: number): void {
    if (this.site.forms.uuid === 'string') {
      this.putText(uuidText(source, start))
    } else {
      this.reserve(19)
      this.memory[this.position] = 0xd8
      this.memory[this.position + 1] = 37
      this.position += 2
      this.putBytes(source, start, start + 16)
    }
    this.#end()
  }

  date(days: number): void {
    if (this.site.forms.date === 'string') this.putText(dateText(days))
    else this.#datetime(days * secondsPerDay, 0, days)
    this.#end()
  }

  timestamp(seconds: number, nanos: number): void {
    this.#datetime(seconds, nanos)
    this.#end()
  }

  infinity(negative: boolean): void {
    // A date that is text everywhere is no fallback when it is infinite.
    this.#notADatetime(negative ? '-infinity' : 'infinity')
    this.#end()
  }

  interval(months: number, days: number, micros: bigint): void {
    if (this.site.forms.interval === 'object') this.#intervalObject(months, days, micros)
    else if (this.site.forms.interval === 'string') this.putText(durationText(months, days, micros))
    else if (months !== 0 || days < 0 || micros < 0n) {
      this.site.count('interval')
      this.putText(durationText(months, days, micros))
    } else {
      this.reserve(2)
      this.memory[this.position++] = 0xce
      this.memory[this.position++] = cbor.array | 2
      this.putInteger(days * secondsPerDay + Number(micros / microsPerSecond))
      this.putInteger(Number(micros % microsPerSecond) * 1000)
    }
    this.#end()
  }

  json(value: Json): void {
    putJson(this, value, this.site, this.keyed)
    this.#end()
  }

  jsonUtf8(source: Uint8Array, start: number, end: number): boolean {
    if (this.keyed || !this.#jsonText.put(source, start, end, this.site)) return false
    this.#end()
    return true
  }

  array(length: number): void {
    this.putHead(cbor.array, length)
    this.#begin(length)
  }

  object(length: number): void {
    this.putHead(cbor.map, length)
    this.#begin(length)
  }

  name(value: string): void {
    if (this.keyed && value === '')
      throw this.site.refuse('an empty name within a key, which SurrealDB cannot read back')
    if (!value.isWellFormed()) this.site.count('text')
    this.putText(value)
  }

  range(lower: RangeBound, upper: RangeBound): void {
    if (this.site.forms.ranges === 'object') {
      this.putHead(cbor.map, 3)
      this.putText('bounds')
      this.putText((lower === 'inclusive' ? '[' : '(') + (upper === 'inclusive' ? ']' : ')'))
      this.#bounds(nameBytes('lower'), lower, nameBytes('upper'), upper)
    } else {
      this.reserve(3)
      this.memory[this.position++] = 0xd8
      this.memory[this.position++] = 49
      this.memory[this.position++] = cbor.array | 2
      this.#bounds(boundHeads[lower], lower, boundHeads[upper], upper)
    }
  }

  emptyRange(): void {
    if (this.site.forms.ranges === 'object') {
      this.putHead(cbor.map, 1)
      this.putText('empty')
      this.putByte(cbor.true)
    } else {
      this.site.count('emptyRange')
      this.putText('empty')
    }
    this.#end()
  }

  geometry(shape: Shape): void {
    if (this.keyed) this.putText(shapeText(shape))
    else putShape(this, shape, this.site.forms.geometry, this.site)
    this.#end()
  }

  protected override tooLarge(bytesMax: number): Error {
    return this.site.tooLarge(bytesMax)
  }

  #keyDecimal(text: string): void {
    if (isKeyDecimal(text)) this.#finiteDecimal(text)
    else this.putText(text)
  }

  #finiteDecimal(text: string): void {
    if (putDecimal(this, text)) return
    if (this.site.forms.numericOverflow === 'error') throw this.site.refuse('a number that a decimal cannot hold')
    this.site.count('decimal')
    if (this.site.forms.numericOverflow === 'float' && !this.keyed) this.putFloat(Number(text))
    else this.putText(text)
  }

  #datetime(seconds: number, nanos: number, days?: number): void {
    const fits = seconds >= firstSecond && seconds <= lastSecond
    if (!fits || (this.keyed && !isKeySecond(seconds))) {
      const text = days === undefined ? timestampText(seconds, nanos) : dateText(days)
      if (fits) this.putText(text)
      else this.#notADatetime(text)
      return
    }
    this.reserve(2)
    this.memory[this.position++] = 0xcc
    this.memory[this.position++] = cbor.array | 2
    this.putInteger(seconds)
    this.putInteger(nanos)
  }

  #notADatetime(text: string): void {
    if (this.site.forms.infinity === 'error') throw this.site.refuse('a date or timestamp that a datetime cannot hold')
    this.site.count('infinity')
    if (this.site.forms.infinity === 'null' && !this.keyed) this.putByte(cbor.null)
    else this.putText(text)
  }

  #intervalObject(months: number, days: number, micros: bigint): void {
    this.putHead(cbor.map, 3)
    this.putText('months')
    this.putInteger(months)
    this.putText('days')
    this.putInteger(days)
    this.putText('microseconds')
    this.putBigInt(micros)
  }

  /** In objects a bound follows its name, elsewhere its tag; an absent bound is null either way. */
  #bounds(lowerHead: Uint8Array, lower: RangeBound, upperHead: Uint8Array, upper: RangeBound): void {
    const named = this.site.forms.ranges === 'object'
    const absentUpper = named ? Uint8Array.of(...upperHead, cbor.null) : upperHead
    this.putRaw(lowerHead)
    if (lower === 'unbounded') {
      if (named) this.putByte(cbor.null)
      this.putRaw(upper === 'unbounded' ? absentUpper : upperHead)
      if (upper === 'unbounded') this.#end()
      else this.#open.push({ remaining: 1 })
    } else if (upper === 'unbounded') this.#open.push({ remaining: 1, after: absentUpper })
    else this.#open.push({ remaining: 2, between: upperHead })
  }

  #begin(length: number): void {
    if (this.#open.length === 0) return
    if (length === 0) this.#end()
    else this.#open.push({ remaining: length })
  }

  /** A cell is complete: if it belongs to a range, what follows it is due. */
  #end(): void {
    for (let open = this.#open.at(-1); open !== undefined; open = this.#open.at(-1)) {
      open.remaining -= 1
      if (open.remaining > 0) {
        if (open.between !== undefined) this.putRaw(open.between)
        return
      }
      this.#open.pop()
      if (open.after !== undefined) this.putRaw(open.after)
    }
  }
}

function nameBytes(name: string): Uint8Array {
  return Uint8Array.of(cbor.text | name.length, ...Buffer.from(name))
}
