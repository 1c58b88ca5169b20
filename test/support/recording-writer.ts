/** A writer that notes what it is told. */
import { Decimal, type Json, type RangeBound, type Shape, type ValueWriter } from '../../src/core/value.js'

/** The calls as text, one for each, with copies of what was only borrowed. */
export class RecordingWriter implements ValueWriter {
  readonly calls: string[] = []

  null(): void {
    this.calls.push('null')
  }

  boolean(value: boolean): void {
    this.calls.push(`boolean ${value}`)
  }

  integer(value: number | bigint): void {
    if (Object.is(value, -0)) throw new Error('There is no integer -0')
    this.calls.push(`integer ${typeof value} ${value}`)
  }

  float(value: number): void {
    this.calls.push(`float ${Object.is(value, -0) ? '-0' : value}`)
  }

  decimal(text: string): void {
    if (!/^(-?\d+(\.\d+)?|NaN|-?Infinity)$/.test(text)) throw new Error(`Not plain: ${text}`)
    this.calls.push(`decimal ${text}`)
  }

  string(value: string): void {
    this.calls.push(`text ${JSON.stringify(value)}`)
  }

  utf8(source: Uint8Array, start: number, end: number): void {
    this.calls.push(
      `text ${JSON.stringify(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(source.subarray(start, end)))}`,
    )
  }

  bytes(source: Uint8Array, start: number, end: number): void {
    this.calls.push(`bytes ${Buffer.from(source.subarray(start, end)).toString('hex')}`)
  }

  uuid(source: Uint8Array, start: number): void {
    this.calls.push(`uuid ${Buffer.from(source.subarray(start, start + 16)).toString('hex')}`)
  }

  date(days: number): void {
    this.calls.push(`date ${days}`)
  }

  timestamp(seconds: number, nanos: number): void {
    if (nanos < 0 || nanos >= 1e9 || !Number.isInteger(nanos)) throw new Error(`Not nanoseconds: ${nanos}`)
    this.calls.push(`timestamp ${seconds} ${nanos}`)
  }

  infinity(negative: boolean): void {
    this.calls.push(`infinity ${negative}`)
  }

  interval(months: number, days: number, micros: bigint): void {
    this.calls.push(`interval ${months} ${days} ${micros}`)
  }

  json(value: Json): void {
    this.calls.push(`json ${jsonText(value)}`)
  }

  array(length: number): void {
    this.calls.push(`array ${length}`)
  }

  object(length: number): void {
    this.calls.push(`object ${length}`)
  }

  name(value: string): void {
    this.calls.push(`name ${JSON.stringify(value)}`)
  }

  range(lower: RangeBound, upper: RangeBound): void {
    this.calls.push(`range ${lower} ${upper}`)
  }

  emptyRange(): void {
    this.calls.push('emptyRange')
  }

  geometry(shape: Shape): void {
    this.calls.push(`geometry ${JSON.stringify(shape)}`)
  }
}

/** JSON with the digits that exact numbers have. */
export function jsonText(value: Json): string {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Decimal) return value.text
  if (Array.isArray(value)) return `[${value.map((item: Json) => jsonText(item)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, part]) => `${JSON.stringify(name)}:${jsonText(part)}`)
      .join(',')}}`
  }
  return Object.is(value, -0) ? '-0' : JSON.stringify(value)
}
