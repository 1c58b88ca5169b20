/** From PostgreSQL's types to what they mean and how they are read. */
import type { ClientBase } from 'pg'
import type { LogicalType } from '../../core/value.js'
import { type CatalogType, catalogRows, firstUserOid, readCatalogTypes } from './catalog-types.js'
import { arrayCodec } from './codecs/array.js'
import { builtinTypes, extensionTypes, textType, type WireType } from './codecs/builtin.js'
import type { Codec } from './codecs/codec.js'
import { compositeCodec } from './codecs/composite.js'
import { moneyCodec } from './codecs/numeric.js'
import { multirangeCodec, rangeCodec } from './codecs/range.js'
import { quoteQualified } from './quoted-name.js'

/** How a column of some type is read. */
export interface ColumnType {
  readonly type: LogicalType
  readonly codec: Codec
  /** Whether it is read as the text that PostgreSQL prints, though it is no type of PostgreSQL's own. */
  readonly unknown: boolean
  /** The expression that gives what the codec reads. */
  select(reference: string): string
  /** The expression that gives the text that PostgreSQL prints, without running a cast that somebody defined. */
  printed(reference: string): string
  /** Whether equal values always have equal text, by the type's own equality. */
  readonly exactText: boolean
  /** The type without domains, quoted and qualified. */
  readonly castType: string
  /** Whether that type and its casts are PostgreSQL's own. */
  readonly builtin: boolean
}

const moneyOid = 790
/** Composite types cannot contain themselves, but nothing here relies on that. */
const depthMax = 64

/** The types of some columns, resolved once each. */
export class TypeResolver {
  readonly #catalog: ReadonlyMap<number, CatalogType>
  readonly #money: WireType
  readonly #resolved = new Map<number, WireType | undefined>()

  private constructor(catalog: ReadonlyMap<number, CatalogType>, moneyDigits: number) {
    this.#catalog = catalog
    this.#money = { type: { kind: 'decimal' }, codec: moneyCodec(moneyDigits), exactText: true }
  }

  /** Reads from the catalog what these types are made of. */
  static async load(client: ClientBase, oids: readonly number[]): Promise<TypeResolver> {
    const catalog = await readCatalogTypes(client, oids)
    return new TypeResolver(catalog, catalog.has(moneyOid) ? await readMoneyDigits(client) : 2)
  }

  column(oid: number): ColumnType {
    const base = this.#base(oid)
    const castType = base === undefined ? 'pg_catalog.text' : quoteQualified(base.schema, base.name)
    const builtin = base === undefined || base.oid < firstUserOid
    const printed = base?.kind === 'b' && builtin ? castToText : printAsText
    const wire = this.#wire(oid, 0)
    if (wire !== undefined) {
      return { ...wire, unknown: false, select: (reference) => reference, printed, castType, builtin }
    }
    const element = base !== undefined && isArray(base) ? this.#base(base.elementOid) : undefined
    if (element?.kind === 'b') {
      const codec = arrayCodec(textType.codec)
      const type: LogicalType = { kind: 'array', element: textType.type }
      return {
        type,
        codec,
        unknown: element.schema !== 'pg_catalog',
        select: (reference) => `${reference}::pg_catalog.text[]`,
        printed,
        exactText: false,
        castType,
        builtin,
      }
    }
    return {
      ...textType,
      unknown: (element ?? base)?.schema !== 'pg_catalog',
      select: base?.kind === 'b' && element === undefined ? castToText : printAsText,
      printed,
      castType,
      builtin,
    }
  }

  /**
   * Whether rows can be looked up by values of this type, given as text, without running code of the type's owner: a
   * domain inside of it checks what is read, and beside an implicit cast the equality of its kind is ambiguous.
   */
  isKeyType(oid: number): boolean {
    const type = this.#base(oid)
    if (type === undefined || type.oid < firstUserOid) return true
    const ownEquality = type.kind === 'b' && !isArray(type)
    return (ownEquality || !type.implicitCast) && !this.#holdsDomain(type, 0)
  }

  /** All that a type is made of, as text that changes when the way of reading it does. */
  describe(oid: number, depth = 0): string {
    const type = this.#base(oid)
    if (type === undefined || depth > depthMax) return String(oid)
    const parts = [type.elementOid, type.rangeOid]
      .filter((part) => part !== 0)
      .map((part) => this.describe(part, depth + 1))
    const fields = type.attributes.map(
      ({ name, typeOid }) => `${JSON.stringify(name)}:${this.describe(typeOid, depth + 1)}`,
    )
    return `${type.oid}(${[...parts, ...fields].join()})`
  }

  #holdsDomain(type: CatalogType, depth: number): boolean {
    const parts = [type.elementOid, type.rangeOid, ...type.attributes.map(({ typeOid }) => typeOid)]
    return parts.some((oid) => {
      const part = this.#catalog.get(oid)
      return part !== undefined && (depth > depthMax || part.kind === 'd' || this.#holdsDomain(part, depth + 1))
    })
  }

  /** The type below any domains. */
  #base(oid: number): CatalogType | undefined {
    let type = this.#catalog.get(oid)
    for (let depth = 0; type?.kind === 'd' && depth < depthMax; depth += 1) type = this.#catalog.get(type.baseOid)
    return type
  }

  /** How the binary format is read; `undefined`: it is not known, or some part of it is not. */
  #wire(oid: number, depth: number): WireType | undefined {
    if (this.#resolved.has(oid)) return this.#resolved.get(oid)
    const type = this.#base(oid)
    const wire = type === undefined || depth > depthMax ? undefined : this.#compose(type, depth + 1)
    this.#resolved.set(oid, wire)
    return wire
  }

  #compose(type: CatalogType, depth: number): WireType | undefined {
    if (type.oid === moneyOid) return this.#money
    if (!type.sendIsBuiltin) return extensionTypes.get(`${type.send} ${type.name}`)
    if (isArray(type)) return this.#array(type, depth)
    if (type.send === 'record_send') return this.#composite(type, depth)
    if (type.send === 'range_send') return this.#range(type, depth)
    if (type.send === 'multirange_send') return this.#multirange(type, depth)
    return builtinTypes.get(type.send)
  }

  #array(type: CatalogType, depth: number): WireType | undefined {
    const element = this.#wire(type.elementOid, depth)
    if (element === undefined) return undefined
    const { exactText } = element
    return { type: { kind: 'array', element: element.type }, codec: arrayCodec(element.codec), exactText }
  }

  #composite(type: CatalogType, depth: number): WireType | undefined {
    const fields = []
    for (const { name, typeOid } of type.attributes) {
      const wire = this.#wire(typeOid, depth)
      if (wire === undefined) return undefined
      fields.push({ name, typeOid, ...wire })
    }
    return {
      type: { kind: 'object', fields: fields.map((field) => ({ name: field.name, type: field.type })) },
      codec: compositeCodec(fields),
      exactText: fields.every(({ exactText }) => exactText),
    }
  }

  #range(type: CatalogType, depth: number): WireType | undefined {
    const element = this.#wire(type.rangeOid, depth)
    if (element === undefined) return undefined
    const { exactText } = element
    return { type: { kind: 'range', element: element.type }, codec: rangeCodec(element.codec), exactText }
  }

  #multirange(type: CatalogType, depth: number): WireType | undefined {
    const range = this.#wire(type.rangeOid, depth)
    if (range === undefined) return undefined
    const { exactText } = range
    return { type: { kind: 'array', element: range.type }, codec: multirangeCodec(range.codec), exactText }
  }
}

/** Not every type with an element type is an array: `name`, `point` and others have one, too. */
function isArray(type: CatalogType): boolean {
  const sendsArray = type.send === 'array_send' || type.send === 'int2vectorsend' || type.send === 'oidvectorsend'
  return sendsArray && type.sendIsBuiltin && type.elementOid !== 0
}

/** Base types belong to superusers, and so do their casts. */
function castToText(reference: string): string {
  return `${reference}::pg_catalog.text`
}

/**
 * Anybody may define a cast from a composite type to text, and a cast is code: `format` calls the output function alone.
 * `is distinct from`, because a row of NULLs `is null`.
 */
function printAsText(reference: string): string {
  return `case when ${reference} is distinct from null then pg_catalog.format('%s', ${reference}) end`
}

/** How many fraction digits money has by the database's own setting: the reader's is another. */
async function readMoneyDigits(client: ClientBase): Promise<number> {
  const set = (value: string) => catalogRows(client, moneyDigitsSql, [value])
  const settingSql = `select setting, reset_val from pg_catalog.pg_settings where name = 'lc_monetary'`
  const [[current = 'C', own = 'C'] = []] = await catalogRows(client, settingSql)
  const [answer] = await set(own ?? 'C')
  await set(current ?? 'C')
  return Number(answer?.[1] ?? 2)
}

const moneyDigitsSql = `
select pg_catalog.set_config('lc_monetary', $1, true), pg_catalog.scale(1::pg_catalog.int4::pg_catalog.money::pg_catalog."numeric")`
