/** Which shape each table has, and the table as it is read in that shape. */
import { createHash, createHmac } from 'node:crypto'
import { SyncError } from '../../core/errors.js'
import type { Mask, Shaping, TableShape } from '../../core/shaping.js'
import { ComputedFields, withComputed } from './computed-fields.js'
import { maskedColumn } from './masked-column.js'
import type { PostgresColumn, PostgresKeyColumn, PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'
import { TablePattern } from './table-pattern.js'

/** How rows are selected and shaped. */
export interface ShapingOptions {
  /** Which columns and rows are read, and how they are shaped: `{ users: { where: 'active', mask: { email: 'hash' } } }`. */
  readonly shaping?: Shaping
  /** The secret of masks that are hashes, of at least 16 characters. Another one makes other hashes of all values. */
  readonly maskSecret?: string
}

/** One entry of the options. */
interface Entry {
  readonly pattern: TablePattern
  readonly shape: TableShape
}

/** What was hidden of a table before. */
interface Hidden {
  readonly label: string
  readonly columns: ReadonlySet<string>
  readonly shape: TableShape
}

/** Names that the sink needs for tables that are keyed by address. */
const addressNames = ['ctid', 'tableoid']
const secretLengthMin = 16

/** For one run: it remembers what it has hidden. */
export class TableShaper {
  readonly #entries: readonly Entry[]
  readonly #secret: string | undefined
  readonly #hidden = new Map<number, Hidden>()
  readonly #computed = new ComputedFields()

  /** @throws SyncError `E_CONFIG` */
  constructor(shaping: Shaping = {}, secret?: string) {
    this.#entries = Object.entries(shaping).map(([name, shape]) => ({ pattern: new TablePattern(name), shape }))
    this.#secret = secret
    if (secret !== undefined && secret.length < secretLengthMin) {
      throw new SyncError('E_CONFIG', `\`maskSecret\` has fewer than ${secretLengthMin} characters`, {
        hint: 'Whoever guesses it can tell which values the hashes stand for: make one with `openssl rand -hex 32`.',
      })
    }
    for (const { pattern, shape } of this.#entries) checkMasks(pattern.text, shape, secret)
  }

  /** Whether no table has any shape. */
  get empty(): boolean {
    return this.#entries.length === 0
  }

  /**
   * The tables as they are to be read. Within a transaction.
   * @throws SyncError `E_CONFIG`, `E_NAME_COLLISION`; `E_SCHEMA_CHANGED` if what hid a column before does so no longer
   */
  async shapeAll(session: Session, tables: readonly PostgresTable[]): Promise<readonly PostgresTable[]> {
    const shaped: PostgresTable[] = []
    for (const table of tables) shaped.push(await this.#shape(session, table))
    return shaped
  }

  async #shape(session: Session, table: PostgresTable): Promise<PostgresTable> {
    const shape = this.#of(table)
    this.#remember(table, shape)
    if (shape === undefined) return table
    const key = new Set(table.key.map(({ attnum }) => attnum))
    for (const column of table.key) refuseKey(table, column, shape)
    const shaped = <C extends PostgresColumn>(column: C): C => {
      const mask = key.has(column.attnum) ? undefined : maskOf(shape, column.name)
      const masked = mask === undefined ? column : maskedColumn(column, mask.mask, this.#secret ?? '')
      const name = Object.hasOwn(shape.rename ?? {}, column.name) ? shape.rename?.[column.name] : undefined
      return name === undefined ? masked : { ...masked, name, sourceName: column.name }
    }
    const computed = await this.#computed.of(session, table, shape)
    const selected = table.columns.filter((column) => key.has(column.attnum) || isSelected(shape, column.name))
    const columns = withComputed(table, selected.map(shaped), computed)
    const result = {
      ...table,
      ...identityOf(table, shape, this.#secret, computed),
      name: shape.as ?? table.name,
      columns,
      key: table.key.map((column): PostgresKeyColumn => shaped(column)),
      keyIndex: table.key.map(({ attnum }) => columns.findIndex((column) => column.attnum === attnum)),
      shape,
    }
    refuseCollision(result)
    return result
  }

  /**
   * Names in the options that mean nothing here are mistakes.
   * @param tables Those that were selected, as they are without a shape.
   * @param exists Whether there is a table that the pattern names, selected or not.
   * @throws SyncError `E_CONFIG`, `E_UNKNOWN_TABLE`
   */
  refuseUnknown(tables: readonly PostgresTable[], exists: (pattern: TablePattern) => boolean): void {
    for (const { pattern, shape } of this.#entries) {
      const matched = tables.filter((table) => pattern.matches(table.schema, table.name))
      if (matched.length === 0 && !exists(pattern)) {
        throw new SyncError('E_UNKNOWN_TABLE', `There is no table ${pattern.text}, for which a shape was given`, {
          table: pattern.text,
          hint: 'Check the spelling and the schema; names are case-sensitive.',
        })
      }
      const names = new Set(matched.flatMap(({ columns }) => columns.map(({ name }) => name)))
      for (const { member, name, glob } of namesIn(shape)) {
        if (matched.length === 0) continue
        if (glob ? [...names].some((column) => matches(name, column)) : names.has(name)) continue
        throw new SyncError('E_CONFIG', `${pattern.text} has no column ${name}, which its \`${member}\` names`, {
          table: pattern.text,
          column: name,
          hint: 'Check the spelling; names are those of the source, and case-sensitive.',
        })
      }
    }
  }

  #of({ schema, name }: PostgresTable): TableShape | undefined {
    const found = this.#entries.filter(({ pattern }) => pattern.matches(schema, name)).map(({ shape }) => shape)
    if (found.length === 0) return undefined
    let merged: TableShape = {}
    for (const shape of found) {
      const { rename, mask, compute } = merged
      merged = {
        ...merged,
        ...shape,
        ...(rename && { rename: { ...rename, ...shape.rename } }),
        ...(mask && { mask: { ...mask, ...shape.mask } }),
        ...(compute && { compute: { ...compute, ...shape.compute } }),
      }
    }
    return merged
  }

  /** What is hidden by its name would come to light under another one. */
  #remember(table: PostgresTable, shape: TableShape | undefined): void {
    const before = this.#hidden.get(table.oid)
    const names = table.columns.map(({ name }) => name)
    const columns = new Set(shape === undefined ? [] : names.filter((name) => isHidden(shape, name)))
    const gone = [...(before?.columns ?? [])].find((name) => !columns.has(name))
    if (before?.shape.where !== undefined && before.shape.where !== shape?.where) {
      throw new SyncError('E_SCHEMA_CHANGED', `${before.label} is filtered, and is now ${table.label}, which is not`, {
        table: before.label,
        hint: 'Give the table a shape under its new name; then run again.',
      })
    }
    if (before !== undefined && gone !== undefined) {
      const now = before.label === table.label ? 'has no such column now' : `is now ${table.label}`
      throw new SyncError(
        'E_SCHEMA_CHANGED',
        `Column ${gone} of ${before.label} is not to be shown, and the table ${now}`,
        {
          table: before.label,
          column: gone,
          hint: 'If it was renamed, say so in its shape; then run again.',
        },
      )
    }
    if (before !== undefined && before.label !== table.label && losesShape(before.shape, shape)) {
      const message = `The table ${before.label} is now ${table.label}, which has another shape`
      const hint = 'Say in its shape what is to be shown of it under its new name; then run again.'
      throw new SyncError('E_SCHEMA_CHANGED', message, { table: before.label, hint })
    }
    this.#hidden.set(table.oid, { label: table.label, columns, shape: shape ?? {} })
  }
}

/** Whether what kept something from being shown, by leaving it out or by a function, does so no longer. */
function losesShape({ columns, compute = {}, transform }: TableShape, now: TableShape = {}): boolean {
  if (columns !== undefined && JSON.stringify(columns) !== JSON.stringify(now.columns)) return true
  if (transform !== undefined && transform !== now.transform) return true
  return Object.entries(compute).some(([field, work]) => now.compute?.[field] !== work)
}

/** What identifies how rows are read: while it stays the same, so do they. Functions are known by their names only. */
function identityOf(
  table: PostgresTable,
  shape: TableShape,
  secret: string | undefined,
  computed: readonly PostgresColumn[],
) {
  const { as, columns, excludeColumns, where, rename, mask, compute, transform } = shape
  const said = [as, columns, excludeColumns, where, rename, mask, compute, transform]
  if (said.every((one) => one === undefined)) return {}
  const described = [
    [as, columns, excludeColumns, where, transform !== undefined],
    Object.entries(rename ?? {}),
    Object.entries(mask ?? {}).map(([name, kind]) => [name, typeof kind === 'function' ? 'function' : kind]),
    Object.keys(compute ?? {}),
    // Tells secrets apart, and says no more about them than any hash in the target does.
    Object.values(mask ?? {}).includes('hash') ? createHmac('sha256', secret ?? '').digest('hex') : null,
  ]
  const expressions = computed.length === 0 ? [] : [computed.map(({ identity }) => identity)]
  const structure = hash([table.structure, described, ...expressions])
  return { structure, fingerprint: hash([structure, table.storage]) }
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}

function isSelected({ columns, excludeColumns = [] }: TableShape, column: string): boolean {
  const excluded = excludeColumns.some((pattern) => matches(pattern, column))
  return !excluded && (columns === undefined || columns.some((pattern) => matches(pattern, column)))
}

/** Whether a column is named so that its values are not seen. */
function isHidden(shape: TableShape, column: string): boolean {
  return (shape.excludeColumns ?? []).some((it) => matches(it, column)) || maskOf(shape, column) !== undefined
}

/** The last mask whose name matches. */
function maskOf({ mask = {} }: TableShape, column: string): { readonly mask: Mask } | undefined {
  const found = Object.entries(mask).findLast(([pattern]) => matches(pattern, column))
  return found === undefined ? undefined : { mask: found[1] }
}

/** A column is also named by its plain name, whatever is in it. */
function matches(pattern: string, column: string): boolean {
  return pattern === column || new TablePattern(pattern).matchesName(column)
}

function namesIn({ columns = [], excludeColumns = [], rename = {}, mask = {} }: TableShape) {
  return [
    ...columns.map((name) => ({ member: 'columns', name, glob: true })),
    ...excludeColumns.map((name) => ({ member: 'excludeColumns', name, glob: true })),
    ...Object.keys(mask).map((name) => ({ member: 'mask', name, glob: true })),
    ...Object.keys(rename).map((name) => ({ member: 'rename', name, glob: false })),
  ]
}

function checkMasks(table: string, { mask = {} }: TableShape, secret: string | undefined): void {
  for (const [column, kind] of Object.entries(mask)) {
    const of = { table, column }
    const refuse = (what: string, hint: string) =>
      new SyncError('E_CONFIG', `The mask of column ${column} of ${table} ${what}`, { ...of, hint })
    if (kind === 'hash') {
      if (secret === undefined) throw refuse('is a hash, which needs a secret', 'Give one as `maskSecret`.')
    } else if (typeof kind === 'object' && kind !== null) {
      const whole = Number.isSafeInteger(kind.truncate) && kind.truncate >= 0 && kind.truncate < 2 ** 31
      if (!whole) throw refuse('is no whole number of characters', 'Write it like { truncate: 4 }.')
    } else if (kind !== null && kind !== 'null' && typeof kind !== 'function') {
      throw refuse('is unknown', "There are 'hash', { truncate: 4 }, null, and functions.")
    }
  }
}

function refuseKey(table: PostgresTable, { name }: PostgresColumn, shape: TableShape): void {
  const refuse = (what: string) =>
    new SyncError('E_CONFIG', `Column ${name} of ${table.label} belongs to its key and cannot be ${what}`, {
      table: table.label,
      column: name,
      hint: 'Record ids are made of keys: leave it as it is, or leave the table out.',
    })
  if (maskOf(shape, name) !== undefined) throw refuse('masked')
  if (shape.excludeColumns?.includes(name)) throw refuse('excluded')
}

function refuseCollision({ columns, key, label }: PostgresTable): void {
  const taken = new Set<string>(key.length === 0 ? addressNames : [])
  for (const { name } of columns) {
    if (taken.has(name)) {
      throw new SyncError('E_NAME_COLLISION', `Two columns of ${label} would be named ${name}`, {
        table: label,
        column: name,
        hint: 'Choose another name in `rename`, or leave one of them out.',
      })
    }
    taken.add(name)
  }
}
