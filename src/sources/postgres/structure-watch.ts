/**
 * Notices changes that no row trigger sees: altered columns, rewritten, recreated and renamed tables, attached and
 * detached partitions, disabled triggers. Such a table is captured again and replaced as a whole.
 */
import type { Alteration } from '../../core/alteration.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { type CaptureState, isCaptured } from './capture-state.js'
import type { Connections } from './connections.js'
import type { Installer } from './installer.js'
import { introspect, introspectTables, type TableSelection } from './introspect.js'
import { missingTables } from './missing-tables.js'
import type { PostgresTable } from './postgres-table.js'
import { type Replacement, replacementOf } from './replacement.js'
import type { Session } from './session.js'
import { skipNow } from './skip-now.js'
import {
  addedWarning,
  alteredWarning,
  goneWarning,
  incompleteWarning,
  recreatedWarning,
  renamedWarning,
  replacedWarning,
  staleWarnings,
} from './structure-warnings.js'
import {
  parseRecord,
  readListing,
  readMarks,
  readNames,
  recordOf,
  recordText,
  type TableMark,
  unknownRecord,
} from './table-marks.js'
import { TableShaper } from './table-shape.js'
import { Unapplied } from './unapplied.js'
import { isMoved, type Watched } from './watched-table.js'

/** Up to so many tables are all compared in the snapshot of each delta. */
const tablesComparedMax = 200

/** What tables were at a position, by oid. */
type Known = Readonly<Record<string, string>>

/** How long a table that could not be captured is left alone: each try may take as long as the lock timeout. */
const stuckMs = 10_000

export interface WatchOptions {
  readonly connections: Connections
  readonly installer: Installer
  readonly tables: readonly PostgresTable[]
  /** The names under which their rows were read so far. Default: those that they have. */
  readonly labels?: Iterable<string> | undefined
  readonly warn: (warning: SyncWarning) => void
  /** Which tables to follow, by name, when names change hands. Default: those given, whatever their names. */
  readonly selection?: TableSelection
  /** How rows are shaped. Default: not at all. */
  readonly shaper?: TableShaper
  /** Whether the sink takes this in place. Default: never. */
  readonly alterable?: (alteration: Alteration) => boolean
}

export class StructureWatch {
  readonly #connections: Connections
  readonly #installer: Installer
  readonly #warn: (warning: SyncWarning) => void
  readonly #selection: TableSelection | undefined
  readonly #shaper: TableShaper
  readonly #watched = new Map<number, Watched>()
  /** What must reach the sink although perhaps no row has changed. */
  readonly unapplied = new Unapplied()
  readonly #alterable: (alteration: Alteration) => boolean
  /** Names under which rows were read so far, and for which the sink is prepared. */
  readonly #labels: Set<string>
  #added: PostgresTable[] = []
  #listing: string | undefined
  #structures: Known | undefined

  constructor(options: WatchOptions) {
    this.#connections = options.connections
    this.#installer = options.installer
    this.#warn = options.warn
    this.#selection = options.selection
    this.#alterable = options.alterable ?? (() => false)
    this.#shaper = options.shaper ?? new TableShaper()
    this.#labels = new Set(options.labels ?? options.tables.map(({ label }) => label))
    for (const table of options.tables) this.#watched.set(table.oid, { table, mark: undefined })
  }

  /** The tables that are followed, by oid, as they must be decoded. */
  get tables(): ReadonlyMap<number, PostgresTable> {
    return new Map([...this.#watched].map(([oid, { table }]) => [oid, table]))
  }

  /** Whether this table must not be read yet: nobody captures its changes. */
  isStuck(oid: number): boolean {
    return this.#watched.get(oid)?.stuckUntil !== undefined
  }

  /** These tables have been replaced, or altered. */
  applied(oids: Iterable<number>): void {
    for (const oid of oids) if (this.unapplied.delete(oid)) this.#structures = undefined
  }

  /** Tables under names that are new since the last call. */
  takeAdded(): readonly PostgresTable[] {
    const added = this.#added
    this.#added = []
    return added
  }

  /** What each table is now, for positions; what is still to be replaced will be so by whoever starts there. */
  structures(): Known {
    this.#structures ??= Object.fromEntries(
      [...this.#watched].flatMap(([oid, { table, mark }]) => {
        if (mark === undefined) return []
        return [[String(oid), recordText(this.unapplied.has(oid) ? unknownRecord(table) : recordOf(table, mark))]]
      }),
    )
    return this.#structures
  }

  /**
   * Whether the tables are still what they were at the last {@link look}, in the session's snapshot: these, or all if
   * there are not too many to tell.
   */
  async same(session: Session, oids: Iterable<number>): Promise<boolean> {
    const compared = this.#watched.size <= tablesComparedMax ? [...this.#watched.keys()] : [...oids]
    const tables = compared.flatMap((oid) => this.#watched.get(oid)?.table ?? [])
    const marks = await readMarks(session, tables)
    return compared.every((oid) => {
      const watched = this.#watched.get(oid)
      return this.isStuck(oid) || (watched?.mark !== undefined && watched.mark.whole === marks.get(oid)?.whole)
    })
  }

  /**
   * Looks at every table. One that differs from `known` (from a position) or from the last look in a way that triggers do
   * not see is captured again and marked as pending; one that is gone is no longer followed.
   */
  async look(known: Known = {}): Promise<void> {
    try {
      const listing = await this.#connections.use(readListing)
      if (listing !== this.#listing && this.#selection !== undefined) await this.#select(this.#selection, known)
      this.#listing = listing
      // Capturing a table again changes its marks, so it takes a second look to settle.
      for (let turn = 1; turn <= 3; turn += 1) {
        const marks = await this.#connections.use((session) => readMarks(session, [...this.tables.values()]))
        const oids = [...this.#watched].flatMap(([oid, watched]) => (isMoved(watched, marks.get(oid)) ? [oid] : []))
        if (oids.length === 0 || !(await this.#inspect(oids, marks, turn === 1 ? known : {}))) return
      }
    } finally {
      // A connection that is made meanwhile has already asked.
      this.#structures = undefined
    }
  }

  /** Follows these tables as well, where they are selected, and replaces them. */
  async add(oids: ReadonlySet<number>): Promise<void> {
    if (this.#selection === undefined || [...oids].every((oid) => this.#watched.has(oid))) return
    await this.#select(this.#selection, {}, oids)
    await this.look()
  }

  /** Follows names: a table under a name that is followed is the one to follow. */
  async #select(selection: TableSelection, known: Known, asked: ReadonlySet<number> = new Set()): Promise<void> {
    const { tables, skipped } = await this.#within((session) => introspect(session.client, selection))
    const missing = { known, followed: this.#watched, skipped }
    for (const warning of await this.#within((session) => missingTables(session, missing))) this.#warn(warning)
    const selected = new Set(tables.map(({ oid }) => oid))
    const named = await this.#names([...this.#watched.keys()].filter((oid) => !selected.has(oid)))
    for (const [oid, label] of named) this.#left(oid, label)
    for (const table of tables) {
      const watched = this.#watched.get(table.oid)
      // Renaming a schema leaves no mark on its tables.
      if (watched?.mark !== undefined && watched.table.label !== table.label) {
        this.#watched.set(table.oid, { ...watched, mark: { ...watched.mark, whole: '' } })
      }
      const added = asked.has(table.oid)
      if (watched !== undefined || !(added || this.#labels.has(table.label))) continue
      // Without a mark it is inspected, captured and, if it is unknown, replaced.
      const [shaped = table] = await this.#within((session) => this.#shaper.shapeAll(session, [table]))
      this.#watched.set(table.oid, { table: shaped, mark: undefined })
      if (known[String(table.oid)] !== undefined) continue
      this.unapplied.replace(table.oid)
      this.#warn(added ? addedWarning(table) : recreatedWarning(table))
    }
  }

  /** The names that tables now have whose names were what selected them. */
  async #names(oids: readonly number[]): Promise<readonly (readonly [oid: number, label: string])[]> {
    if (oids.length === 0) return []
    const names = await this.#connections.use((session) => readNames(session, oids))
    return names.filter(([oid, label]) => this.#watched.get(oid)?.table.label !== label)
  }

  #left(oid: number, label: string): void {
    const table = this.#watched.get(oid)?.table
    if (table === undefined) return
    this.#drop(oid)
    this.#warn(renamedWarning(table.label, label))
  }

  /** Returns whether it must look again, because it has changed something itself. */
  async #inspect(oids: readonly number[], marks: ReadonlyMap<number, TableMark>, known: Known): Promise<boolean> {
    const states = await this.#within(async (session) => {
      const tables = await this.#shaper.shapeAll(session, await introspectTables(session.client, oids))
      return this.#installer.states(session, tables)
    })
    const found = new Map(states.map((state) => [state.table.oid, state]))
    const rewritten = new Set<CaptureState>()
    for (const oid of oids) {
      const state = found.get(oid)
      const mark = marks.get(oid)
      for (const warning of staleWarnings(this.#watched.get(oid)?.table, state)) this.#warn(warning)
      if (state === undefined || mark === undefined) await this.#gone(oid)
      else if (this.#compare(state, mark, known[String(oid)])) rewritten.add(state)
    }
    const wanting = states.filter((state) => !isCaptured(state) || state.surplus.some(({ owned }) => owned))
    for (const state of new Set([...wanting, ...rewritten])) await this.#capture(state, rewritten.has(state))
    return wanting.length > 0 || rewritten.size > 0
  }

  /** Marks the table as pending if need be. Says whether its structure changed. */
  #compare(state: CaptureState, mark: TableMark, known: string | undefined): boolean {
    const { table } = state
    const before = this.#watched.get(table.oid)
    if (before === undefined) return false
    const last = before.mark === undefined ? undefined : recordOf(before.table, before.mark)
    const record = known === undefined ? last : parseRecord(known)
    const change = replacementOf(state, mark, record)
    this.#watched.set(table.oid, { table, mark })
    if (!this.#labels.has(table.label)) {
      this.#labels.add(table.label)
      this.#added.push(table)
    }
    const structure = recordOf(table, mark).structure
    if (change !== undefined && !this.unapplied.replaced.has(table.oid)) {
      const rest = record === undefined ? change : replacementOf(state, mark, { ...record, structure })
      if (rest !== undefined || known !== undefined || !this.#alter(before.table, table)) this.#replace(table, change)
    }
    return record !== undefined && record.structure !== structure
  }

  #replace(table: PostgresTable, change: Replacement): void {
    this.unapplied.replace(table.oid)
    this.#warn(replacedWarning(table, change))
  }

  /** Whether it is enough to tell the sink which columns came and went. */
  #alter(before: PostgresTable, table: PostgresTable): boolean {
    const alteration = this.unapplied.alter(before, table, this.#alterable)
    if (alteration === undefined) return false
    if (this.unapplied.has(table.oid)) this.#warn(alteredWarning(alteration))
    return true
  }

  /** What cannot be locked now is tried again at the next look; until then nothing is believed about it. */
  async #capture(state: CaptureState, rewrite: boolean): Promise<void> {
    const watched = this.#watched.get(state.table.oid)
    if (watched?.mark === undefined) return
    const { table } = state
    try {
      await this.#installer.install([table], { attemptsMax: 1, rewrite })
      // What captures it is another thing now, by our own hand.
      this.#watched.set(table.oid, { table, mark: { ...watched.mark, whole: '', capture: '' } })
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      if (error.code === 'E_RIGHTS') return this.#warn(incompleteWarning(state, error))
      if (error.code !== 'E_LOCK_TIMEOUT' && error.code !== 'E_BUSY') throw error
      this.#warn({ code: 'waiting_for_lock', table: table.label, message: error.message })
      const stuckUntil = this.unapplied.replaced.has(table.oid) ? performance.now() + stuckMs : undefined
      this.#watched.set(table.oid, { table, mark: { ...watched.mark, whole: '' }, stuckUntil })
    }
  }

  /** It does not exist any more; or it does, but not as something that can be followed: then nothing may be skipped. */
  async #gone(oid: number): Promise<void> {
    const table = this.#watched.get(oid)?.table
    if (table === undefined) return
    const skip = await this.#within((session) => skipNow(session, oid))
    if (skip === 'none') return
    if (skip !== undefined && skip.reason !== 'partition') {
      if (skip.reason === 'no_key' && skip.table !== undefined) await this.#installer.disarm(skip.table)
      throw new SyncError(skip.code, skip.message, { table: table.label, hint: skip.hint })
    }
    this.#drop(oid)
    this.#warn(goneWarning(table.label, skip === undefined ? 'no longer exists' : 'became a partition'))
  }

  #within<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#connections.use((session) => session.within('look', () => work(session)))
  }

  #drop(oid: number): void {
    for (const each of [this.#watched, this.unapplied]) each.delete(oid)
  }
}
