/** Rows that the target refuses: found one by one, and either named, or kept aside so that the others go on. */
import { RecordId } from 'surrealdb'
import type { Connection } from '../../connections/surreal/connection.js'
import { refusedField } from '../../connections/surreal/errors.js'
import type { RowBatch } from '../../core/batch.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Abortable } from '../../core/source.js'
import { keyBytes, recordText, splitItems } from './cbor-items.js'
import type { CborWriter } from './cbor-writer.js'
import type { Aside, Lane, Step } from './lane.js'
import { quarantineId, readEntries } from './quarantine-entries.js'
import { joinItems, type PieceLimits, pieceHeadSize, type RefusedRow, RowEncoder } from './row-encoder.js'
import { quarantineTable, type WriteKind } from './statements.js'
import type { TablePlan } from './table-plan.js'

/** A row, or the record id of a row to delete, on its way. */
export interface Item {
  readonly kind: WriteKind
  readonly bytes: Uint8Array
  /** The source table's label. */
  readonly table: string
}

/** A row that the target, or its encoding, refuses. */
export interface Refused {
  /** In the latter case the record id alone. */
  readonly item: Item
  readonly error: SyncError
  readonly encoded: boolean
}

/** Where so many rows are refused, it is not the rows that are wrong. */
const rowsMax = 10_000
/** A larger row is not stored with its entry. */
const storedBytesMax = 1024 * 1024
/** What is due to a row. Anything else may pass, or is the server's own trouble: no row must be blamed for it. */
const rowCodes = new Set(['E_POISON_ROW', 'E_ROW_TOO_LARGE', 'E_VALUE'])

export class Quarantine {
  readonly #enabled: boolean
  readonly #warn: (warning: SyncWarning) => void
  readonly #rows = new Map<string, string>()
  /** The tables of this run: labels, and how the ids of their records begin. */
  readonly #followed = new Map<string, string>()
  #pipeline = ''

  constructor(enabled: boolean, warn: (warning: SyncWarning) => void) {
    this.#enabled = enabled
    this.#warn = warn
  }

  /** Whether no row is kept aside. */
  get empty(): boolean {
    return this.#rows.size === 0
  }

  /** Reads what is kept aside for a pipeline. @param begins The tables are all that the run follows, not more of them. */
  async load(
    {
      connection,
      pipeline,
      begins,
    }: { readonly connection: Connection; readonly pipeline: string; readonly begins: boolean },
    plans: readonly TablePlan[],
    options: Abortable,
  ): Promise<void> {
    this.#pipeline = pipeline
    this.#rows.clear()
    if (begins) this.#followed.clear()
    for (const { table, target } of plans) this.#followed.set(table.label, idStart(target))
    for (const { record, table } of await readEntries(connection, pipeline, options)) this.#rows.set(record, table)
  }

  /** Whether such an error is worth a search for the row that caused it. */
  isAboutRows(error: unknown): error is SyncError {
    return error instanceof SyncError && rowCodes.has(error.code)
  }

  /** Gets rows that cannot be encoded, if they are to be kept aside. */
  collector(table: string, kind: WriteKind, refused: Refused[]): RefusedRow | undefined {
    if (!this.#enabled) return undefined
    return (bytes, error) => void refused.push({ item: { kind, bytes, table }, error, encoded: false })
  }

  /** Whether no row of the tables that are followed is kept aside once this took effect. */
  emptyAfter(aside: Aside | undefined): boolean {
    const released = new Set(aside?.released.map(recordOf))
    return (
      (aside?.kept.length ?? 0) === 0 && [...this.#rows].every((row) => released.has(row[0]) || !this.#follows(row))
    )
  }

  /** The entries of tables that are not followed. After a full sync they say nothing: their records are nobody's copy. */
  releaseOthers(): Aside | undefined {
    return this.#released([...this.#rows].filter((row) => !this.#follows(row)))
  }

  #follows([record, label]: readonly [record: string, label: string]): boolean {
    return this.#followed.has(label) || [...this.#followed.values()].some((start) => record.startsWith(start))
  }

  /** What a transaction with these rows does to entries made earlier: what becomes of a row now counts. */
  release(items: readonly Item[]): Aside | undefined {
    if (this.empty) return undefined
    const records = items.map(({ bytes }) => recordText(bytes)).filter((record) => this.#rows.has(record))
    return this.#released(records.map((record) => [record]))
  }

  /** The rows of a batch of deletes that deletes nothing. None are looked for where none are kept aside. */
  ignored(writer: CborWriter, plan: TablePlan, batch: RowBatch, limits: PieceLimits): readonly Item[] {
    if (this.empty) return []
    const encoder = new RowEncoder(writer, plan, batch, limits)
    const items: Item[] = []
    for (let piece = encoder.next(); piece !== undefined; piece = encoder.next()) {
      items.push(...itemsOf(piece.bytes, piece.rowCount, 'delete', plan.table.label))
    }
    return items
  }

  /** The entries of a table whose whole content follows, also those from when the table had another name. */
  releaseTable({ table, target }: TablePlan): Aside | undefined {
    const start = idStart(target)
    return this.#released(
      [...this.#rows].filter(([record, label]) => label === table.label || record.startsWith(start)),
    )
  }

  #released(rows: readonly (readonly [record: string, ...rest: unknown[]])[]): Aside | undefined {
    return rows.length === 0 ? undefined : { kept: [], released: rows.map(([record]) => this.#id(record)) }
  }

  /** They took effect. */
  settled(aside: Aside | undefined): void {
    for (const id of aside?.released ?? []) this.#rows.delete(recordOf(id))
    for (const { record, table, reason } of aside?.kept ?? []) {
      this.#rows.set(record, table)
      const message = `${record} of ${table} was put into ${quarantineTable}: ${reason}`
      this.#warn({ code: 'row_quarantined', message, table })
    }
  }

  /**
   * Finds the rows because of which a transaction failed. Nothing is written while it looks.
   *
   * @param rows The transaction's `items`; those that were `refused` before it was sent; and those that it leaves alone, and
   * of which it says so (`ignored`).
   * @returns the rows without them, and the entries for them
   * @throws SyncError `E_POISON_ROW` with the first of them unless rows are to be kept aside; the failure if no row explains it
   */
  async sieve(
    lane: Lane,
    rows: { readonly items: readonly Item[]; readonly refused: readonly Refused[]; readonly ignored?: readonly Item[] },
    failure: SyncError,
    options: Abortable,
  ): Promise<{ readonly items: readonly Item[]; readonly aside: Aside }> {
    const { items, ignored = [] } = rows
    const refused = await this.#find(lane, items, failure, options)
    const bad = new Set(refused.map(({ item }) => item))
    const good = items.filter((item) => !bad.has(item))
    return { items: good, aside: this.keep([...rows.refused, ...refused], this.release([...good, ...ignored])) }
  }

  /** Entries for rows that cannot be written. @throws SyncError `E_POISON_ROW` unless rows are to be kept aside */
  keep(refused: readonly Refused[], released?: Aside): Aside {
    const kept = refused.map(({ item, error, encoded }) => {
      const record = recordText(item.bytes)
      const { table, kind } = item
      if (!this.#enabled || this.#rows.size >= rowsMax) throw poison(record, table, error)
      const reason = reasonOf(error)
      const op = kind === 'delete' || kind === 'mark' ? 'delete' : 'upsert'
      const storable = encoded && op === 'upsert' && item.bytes.length <= storedBytesMax
      const row = storable ? item.bytes.slice() : undefined
      const names = { id: this.#id(record), pipeline: this.#pipeline, table, record, key: keyBytes(item.bytes) }
      return { ...names, op, code: error.code, reason, row }
    })
    return { kept, released: released?.released ?? [] }
  }

  /** One refused row after the other: the last of the shortest beginning that is refused. */
  async #find(lane: Lane, items: readonly Item[], failure: SyncError, options: Abortable): Promise<readonly Refused[]> {
    const refused: Refused[] = []
    let rest = items
    let known = 0
    for (;;) {
      const whole = await this.#rehearse(lane, rest, options)
      if (whole === undefined) break
      if ((await this.#rehearse(lane, [], options)) !== undefined) throw failure
      let [good, bad, error] = [known, rest.length, whole]
      // First near the one found last: they are often neighbours.
      for (let step = 1; good + step < bad; step *= 2) {
        const refusal = await this.#rehearse(lane, rest.slice(0, good + step), options)
        if (refusal === undefined) good += step
        else [bad, error] = [good + step, refusal]
      }
      while (bad - good > 1) {
        const middle = Math.floor((good + bad) / 2)
        const refusal = await this.#rehearse(lane, rest.slice(0, middle), options)
        if (refusal === undefined) good = middle
        else [bad, error] = [middle, refusal]
      }
      const item = rest[bad - 1]
      if (item === undefined) throw failure
      // It is the rows together that are too large, for whoever is in between.
      const alone = error.code === 'E_ROW_TOO_LARGE' ? await this.#rehearse(lane, [item], options) : error
      if (alone === undefined) throw failure
      refused.push({ item, error, encoded: true })
      if (!this.#enabled) break
      rest = rest.filter((each) => each !== item)
      known = good
    }
    if (refused.length === 0) throw failure
    return refused
  }

  /** Undefined: the target would take them. @throws SyncError if that cannot be told */
  async #rehearse(lane: Lane, items: readonly Item[], options: Abortable): Promise<SyncError | undefined> {
    let refusal: unknown
    try {
      refusal = await lane.rehearse(stepsOf(items), options)
    } catch (error) {
      refusal = error
    }
    if (refusal === undefined || this.isAboutRows(refusal)) return refusal
    throw refusal
  }

  #id(record: string): RecordId {
    return quarantineId(this.#pipeline, record)
  }
}

/** The steps of a transaction with these rows: first what is to be deleted. */
export function stepsOf(items: readonly Item[]): readonly Step[] {
  const kinds = [...new Set(items.map(({ kind }) => kind))].sort()
  return kinds.map((kind) => ({
    kind,
    bytes: joinItems(items.filter((item) => item.kind === kind).map(({ bytes }) => bytes)),
  }))
}

/** The rows of an encoded array. */
export function itemsOf(bytes: Uint8Array, rowCount: number, kind: WriteKind, table: string): readonly Item[] {
  return splitItems(bytes.slice(pieceHeadSize), rowCount).map((item) => ({ kind, bytes: item, table }))
}

/** How the ids of a table's records begin. */
function idStart(target: string): string {
  return new RecordId(target, 0).toString().slice(0, -1)
}

function recordOf(id: RecordId): string {
  const [, record] = Array.isArray(id.id) ? id.id : []
  return String(record)
}

function poison(record: string, table: string, error: SyncError): SyncError {
  return new SyncError('E_POISON_ROW', `SurrealDB refuses ${record} of ${table}: ${reasonOf(error)}`, {
    table,
    hint: 'Change the row, or what the target defines, or go on without the row with `quarantine`.',
    cause: error,
  })
}

/** In our own words, and with the field's name: what the server says quotes values. */
function reasonOf(error: SyncError): string {
  const field = refusedField(error.cause)
  const sentence = error.message.charAt(0).toLowerCase() + error.message.slice(1)
  return field === undefined ? sentence : `${sentence} (field ${field})`
}
