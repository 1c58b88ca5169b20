/**
 * The PostgreSQL source with a probe in it: at a drained delta it also reads every table in the delta's own snapshot, so
 * that the target can be compared with exactly what the source was. The parts that make it right can be replaced.
 */

import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import type { Delta } from '../../src/core/delta.js'
import { SyncError } from '../../src/core/errors.js'
import type { ChangeOptions, RunContext } from '../../src/core/source.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { Consumer } from '../../src/sources/postgres/consumers.js'
import { GapTracker } from '../../src/sources/postgres/gap-tracker.js'
import { Installer } from '../../src/sources/postgres/installer.js'
import { openReader, type ReaderParts } from '../../src/sources/postgres/open-reader.js'
import { decode } from '../../src/sources/postgres/position.js'
import { auditNames } from '../../src/sources/postgres/schema.sql.js'
import { Session } from '../../src/sources/postgres/session.js'
import { lock } from '../../src/sources/postgres/snapshot.js'
import { ownTable } from '../../src/sources/postgres/table-selection.js'
import { PostgresTriggerSource, type PostgresTriggerSourceOptions } from '../../src/sources/postgres/trigger-source.js'
import { readContent, readStructureNumbers, type TableContent, type TableName, tableNames } from './workload-tables.js'

/** What the source was in the snapshot of one delta. */
export interface ProbedState {
  readonly contents: ReadonlyMap<TableName, TableContent>
  /** By table the number of its newest change that no trigger sees. */
  readonly structure: ReadonlyMap<string, number>
}

export interface Probe {
  /** Whether to read everything in the next snapshot. Asked before it is taken; every table is locked then. */
  wanted(): boolean
  /** A drained delta has been applied. Without a state if none was wanted. */
  applied(state: ProbedState | undefined): void
}

/** The parts whose absence the negative controls prove to matter. */
export const rightParts: ReaderParts = { tracker: GapTracker, lock }

export class ProbedSource extends PostgresTriggerSource {
  readonly #options: PostgresTriggerSourceOptions
  readonly #probe: Probe
  readonly #parts: ReaderParts
  #connections: ProbedConnections | undefined
  #context: RunContext | undefined

  constructor(options: PostgresTriggerSourceOptions, probe: Probe, parts: ReaderParts = rightParts) {
    super(options)
    this.#options = options
    this.#probe = probe
    this.#parts = parts
  }

  override async open(context: RunContext): Promise<void> {
    await super.open(context)
    this.#context = context
    this.#connections = new ProbedConnections(this.#probe, parseConnection(this.#options.url), context.warn)
  }

  /** The same as the product's, but for the probe and the parts. */
  override async *changes(options: ChangeOptions): AsyncGenerator<Delta> {
    const [connections, context] = [this.#connections, this.#context]
    if (connections === undefined || context === undefined) throw new SyncError('E_CONFIG', 'The source is not open')
    const { syncId, warn } = context
    const { reader } = await openReader(decode(options.after), {
      connections,
      consumer: new Consumer(connections, auditNames('public'), syncId),
      installer: new Installer(connections, 'public', warn),
      names: auditNames('public'),
      warn,
      tables: options.tables.map(ownTable),
      selection: this.#options,
      parts: this.#parts,
      alterable: options.alterable,
    })
    const untilSequence = options.until === undefined ? undefined : decode(options.until).sequence
    for await (const delta of reader.changes({ ...options, untilSequence })) {
      yield delta
      // Whoever asks for the next delta has applied this one.
      if (delta.drained) this.#probe.applied(connections.takeState())
    }
  }

  override async close(): Promise<void> {
    await this.#connections?.close()
    await super.close()
  }
}

const lockSql = `lock table ${tableNames.map((name) => `public.${name}`).join(', ')} in access share mode`

class ProbedConnections extends Connections {
  readonly #probe: Probe
  #state: ProbedState | undefined

  constructor(probe: Probe, ...settings: ConstructorParameters<typeof Connections>) {
    super(...settings)
    this.#probe = probe
  }

  override async session(): Promise<Session> {
    const inner = await super.session()
    return new ProbedSession(inner, this.#probe, (state) => {
      this.#state = state
    })
  }

  /** What the last snapshot showed, if it was probed. */
  takeState(): ProbedState | undefined {
    const state = this.#state
    this.#state = undefined
    return state
  }
}

class ProbedSession extends Session {
  readonly #probe: Probe
  readonly #report: (state: ProbedState | undefined) => void
  #probing = false

  constructor(inner: Session, probe: Probe, report: (state: ProbedState | undefined) => void) {
    super(inner.client, (broken) => (broken ? inner.destroy() : inner.release()))
    this.#probe = probe
    this.#report = report
  }

  override async begin(kind: Parameters<Session['begin']>[0]): Promise<void> {
    await super.begin(kind)
    this.#probing = kind === 'snapshot' && this.#probe.wanted()
    if (kind === 'snapshot') this.#report(undefined)
    if (this.#probing) await this.run('probing', lockSql)
  }

  override async commit(): Promise<void> {
    if (this.#probing) this.#report(await this.#read())
    await super.commit()
  }

  async #read(): Promise<ProbedState> {
    const query = (sql: string) => this.rows('probing', sql)
    const contents = new Map<TableName, TableContent>()
    for (const table of tableNames) contents.set(table, await readContent(query, table))
    return { contents, structure: await readStructureNumbers(query) }
  }
}
