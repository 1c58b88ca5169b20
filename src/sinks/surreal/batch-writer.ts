/** Writes batches through a lane: rows in pieces that fit into a transaction each, barriers as sweeps. */
import type { ReplaceBatch, RowBatch, TruncateBatch } from '../../core/batch.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Table } from '../../core/schema.js'
import type { Abortable } from '../../core/source.js'
import { ByteTarget } from './byte-target.js'
import { isReadableKey } from './key-reader.js'
import type { Aside, Lane, Write } from './lane.js'
import type { SinkConfig } from './options.js'
import type { Ownership } from './ownership.js'
import { itemsOf, type Quarantine, type Refused } from './quarantine.js'
import { joinItems, type Piece, RowEncoder } from './row-encoder.js'
import { removeAbsent, removeAll } from './sweep.js'
import type { TablePlan } from './table-plan.js'

export class BatchWriter {
  readonly #config: SinkConfig
  readonly #warn: (warning: SyncWarning) => void
  readonly #quarantine: Quarantine
  readonly #byteTarget = new ByteTarget()
  /** Targets that were replaced since: what they hold may look equal to a new row and yet be of another kind. */
  readonly #replaced = new Set<string>()

  constructor(config: SinkConfig, quarantine: Quarantine, warn: (warning: SyncWarning) => void) {
    this.#config = config
    this.#quarantine = quarantine
    this.#warn = warn
  }

  /**
   * Begins a phase.
   * @param roundTripMs What a transaction without rows takes.
   * @param replaced Targets that may have been replaced before, by a full sync that is gone on with.
   */
  begin(roundTripMs: number, replaced: readonly string[]): void {
    this.#byteTarget.begin(roundTripMs)
    this.#replaced.clear()
    for (const target of replaced) this.#replaced.add(target)
  }

  /** Whether rows of this table must be stored even where they seem to be there. */
  rewrites({ target }: TablePlan): boolean {
    return this.#replaced.has(target)
  }

  /** Writes a batch of rows in as many transactions as it takes. */
  async rows(lane: Lane, plan: TablePlan, batch: RowBatch, ownership: Ownership, options: Abortable): Promise<void> {
    const { target, table } = plan
    const upsert = this.rewrites(plan) ? 'rewrite' : 'upsert'
    const kind = batch.op === 'delete' ? plan.removal.kind : upsert
    if (kind === undefined) {
      const ignored = this.#quarantine.ignored(lane.writer, plan, batch, this.#config.writeLimits)
      return this.#release(lane, table.label, this.#quarantine.release(ignored), options)
    }
    const inserting = batch.op === 'upsert' && ownership.isFresh(target)
    const limits = inserting ? this.#config.insertLimits : this.#config.writeLimits
    const refused: Refused[] = []
    const collector = this.#quarantine.collector(table.label, kind, refused)
    const encoder = new RowEncoder(lane.writer, plan, batch, limits, collector)
    const next = () => encoder.next(this.#byteTarget.atMost(limits.bytesMax))
    for (let piece = next(); piece !== undefined; piece = next()) {
      options.signal?.throwIfAborted()
      const write = (kind: Write['kind']) =>
        this.#sievePiece(lane, piece, { kind, table: table.label }, refused, options)
      if (batch.op === 'upsert' && ownership.isFresh(target)) {
        if (await write('insert')) continue
        // The rows were there: a chunk that is read again, or another writer.
        ownership.notFresh(target)
      }
      await write(kind)
    }
    if (refused.length === 0) return
    const nothing = { rowCount: 0, bytes: joinItems([]) }
    await this.#sievePiece(lane, nothing, { kind, table: table.label }, refused, options)
  }

  /** Writes a piece; of rows that the target refuses it says which, or keeps them aside. */
  async #sievePiece(
    lane: Lane,
    piece: Piece,
    write: { readonly kind: Write['kind']; readonly table: string },
    refused: Refused[],
    options: Abortable,
  ): Promise<boolean> {
    const quarantine = this.#quarantine
    const { kind, table } = write
    const items = () => itemsOf(piece.bytes, piece.rowCount, kind, table)
    const released = quarantine.empty ? undefined : quarantine.release(items())
    const aside = refused.length === 0 ? released : quarantine.keep(refused, released)
    try {
      const written = await this.#writePiece(lane, piece, { ...write, aside }, options)
      if (!written) return false
      quarantine.settled(aside)
    } catch (error) {
      if (!quarantine.isAboutRows(error)) throw error
      // Some of the rows may be there: an insert would fail for these first.
      const certain = kind === 'insert' ? 'upsert' : kind
      const all = items().map((item) => ({ ...item, kind: certain }))
      const sieved = await quarantine.sieve(lane, { items: all, refused }, error, options)
      const bytes = joinItems(sieved.items.map((item) => item.bytes))
      await lane.write({ kind: certain, table, bytes, aside: sieved.aside }, options)
      quarantine.settled(sieved.aside)
    }
    refused.length = 0
    return true
  }

  async #writePiece(
    lane: Lane,
    { rowCount, bytes }: Piece,
    write: Omit<Write, 'bytes'>,
    options: Abortable,
  ): Promise<boolean> {
    const [startedAt, conflictCount] = [performance.now(), lane.conflictCount]
    const note = (failed: boolean) =>
      this.#byteTarget.note({ rowCount, byteCount: bytes.length, ms: performance.now() - startedAt, failed })
    try {
      const inserted = await lane.write({ ...write, bytes }, options)
      note(lane.conflictCount > conflictCount)
      return inserted
    } catch (error) {
      if (error instanceof SyncError && ['E_BUSY', 'E_ROW_TOO_LARGE'].includes(error.code)) note(true)
      throw error
    }
  }

  /** Removes what a barrier says is not there any more. */
  async sweep(
    lane: Lane,
    plan: TablePlan,
    batch: TruncateBatch | ReplaceBatch,
    ownership: Ownership,
    options: Abortable,
  ): Promise<void> {
    const { target, table } = plan
    if (batch.op === 'replace') this.#replaced.add(target)
    await this.#release(lane, table.label, this.#quarantine.releaseTable(plan), options)
    if (plan.removal.kind === undefined) return
    if (!ownership.isOwned(target)) {
      this.#skipSweep(table, 'holds records of others')
    } else if (batch.op === 'truncate') await removeAll(lane, plan, options)
    else if (isReadableKey(table)) await removeAbsent(lane, plan, batch, options)
    else this.#skipSweep(table, 'has a key that cannot be read back from record ids')
  }

  async #release(lane: Lane, table: string, aside: Aside | undefined, options: Abortable): Promise<void> {
    if (aside === undefined) return
    await lane.write({ kind: 'delete', bytes: joinItems([]), table, aside }, options)
    this.#quarantine.settled(aside)
  }

  #skipSweep(table: Table, why: string): void {
    this.#warn({
      code: 'sweep_skipped',
      message: `Rows that ${table.label} no longer has stay in the target, because it ${why}`,
      table: table.label,
    })
  }
}
