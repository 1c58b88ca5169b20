/** Starts reading changes after a position: checks that it still means something, and which tables are captured. */
import type { Alteration } from '../../core/alteration.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { AuditReader } from './audit-reader.js'
import { type AuditState, readAuditState } from './audit-schema.js'
import { type CaptureState, isCapturing } from './capture-state.js'
import type { Connections } from './connections.js'
import type { Consumer } from './consumers.js'
import { detachedError } from './detachment.js'
import { GapTracker } from './gap-tracker.js'
import { HeldTables } from './held-tables.js'
import { readIdentity, verifyPosition } from './identity.js'
import type { Installer } from './installer.js'
import type { AuditPosition, SourceIdentity } from './position.js'
import type { PostgresTable } from './postgres-table.js'
import { Progress } from './progress.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { lock } from './snapshot.js'
import { addedWarning } from './structure-warnings.js'
import { StructureWatch } from './structure-watch.js'
import type { Lock } from './table-locks.js'
import { parseRecord } from './table-marks.js'
import type { TableSelection } from './table-pattern.js'
import type { TableShaper } from './table-shape.js'

export interface ReaderOptions {
  readonly connections: Connections
  /** Who reads: what it recorded stands in for what a bare number does not say. */
  readonly consumer: Consumer
  readonly installer: Installer
  readonly names: AuditNames
  readonly warn: (warning: SyncWarning) => void
  /** The tables as they are now. */
  readonly tables: readonly PostgresTable[]
  /** What selected them. Default: they are followed by identity alone. */
  readonly selection?: TableSelection
  /** See `ChangeOptions`. */
  readonly alterable?: (alteration: Alteration) => boolean
  /** How rows are shaped. Default: not at all. */
  readonly shaper?: TableShaper
  /** Replaceable for tests that prove that they matter. */
  readonly parts?: ReaderParts
}

export interface ReaderParts {
  readonly tracker: new (...args: ConstructorParameters<typeof GapTracker>) => GapTracker
  readonly lock: Lock
}

export interface OpenReader {
  readonly reader: AuditReader
  readonly progress: Progress
}

/** @throws SyncError if the position cannot be continued from, or the changes of a table that was named are not captured */
export async function openReader(after: AuditPosition, options: ReaderOptions): Promise<OpenReader> {
  const { connections, installer, names, warn, selection, alterable, shaper } = options
  const { parts = { tracker: GapTracker, lock } } = options
  connections.verify(undefined)
  const { identity, audit, known, followed, others } = await connections.use((session) =>
    findFollowed(session, after, options),
  )
  for (const table of others) {
    warn({
      code: 'table_not_captured',
      table: table.label,
      message: `Changes of ${table.label} are not captured and are left out: it was not part of the last full sync with \`checkpoints\``,
    })
  }
  if (known === undefined) {
    warn({
      code: 'structure_unknown',
      message:
        'Nothing is recorded of what the tables were at this position: if one was altered since in a way that fires no trigger, run a full sync',
    })
  }
  const labels = known === undefined ? undefined : labelsIn(known)
  const watch = { connections, installer, tables: followed, labels, warn, selection, alterable, shaper }
  const structure = new StructureWatch(watch)
  const progress = new Progress({
    tracker: new parts.tracker(after.highest, after.gaps),
    held: new HeldTables(),
    identity,
    incarnation: audit.incarnation,
    anchor: after.anchor,
    structures: () => structure.structures(),
  })
  // A new connection may lead elsewhere than the last one did: to a standby, or to what a failover made of it.
  connections.verify(async (session) => void (await verify(session, names, progress.state)))
  for (const table of followed) {
    if (known === undefined || Object.hasOwn(known, String(table.oid))) continue
    // Whoever had it captured, its rows are not in the sink.
    structure.unapplied.replace(table.oid)
    warn(addedWarning(table))
  }
  await structure.look(known ?? {})
  return { reader: new AuditReader({ connections, names, progress, structure, lock: parts.lock, warn }), progress }
}

/** Finds out whether changes can be read on after a position. Changes nothing. @throws SyncError as {@link openReader} */
export async function checkReader(session: Session, after: AuditPosition, options: FollowOptions): Promise<void> {
  await findFollowed(session, after, options)
}

type FollowOptions = Pick<ReaderOptions, 'consumer' | 'installer' | 'names' | 'tables' | 'selection'>

async function findFollowed(
  session: Session,
  after: AuditPosition,
  { consumer, installer, names, tables, selection }: FollowOptions,
) {
  const verified = await verify(session, names, after)
  const known = after.structures ?? (await consumer.structures(session))
  const states = await installer.states(session, tables)
  return { ...verified, known, ...followed(states, known ?? {}, selection) }
}

async function verify(
  session: Session,
  names: AuditNames,
  position: AuditPosition,
): Promise<{ readonly identity: SourceIdentity; readonly audit: AuditState }> {
  const identity = await readIdentity(session)
  await verifyPosition(session, names, position, identity)
  const audit = await readAuditState(session, names)
  if (audit.relation === undefined) {
    const detached = await detachedError(session, names, undefined)
    throw detached ?? notCaptured(`There is no audit table ${names.changes}`)
  }
  return { identity, audit }
}

/**
 * The tables whose changes are captured, or were at the position: those are captured again and replaced. One that was
 * created anew under a known name is found by that name.
 */
function followed(
  states: readonly CaptureState[],
  known: Readonly<Record<string, string>>,
  selection: TableSelection | undefined,
): { readonly followed: readonly PostgresTable[]; readonly others: readonly PostgresTable[] } {
  const labels = labelsIn(known)
  const isKnown = ({ table }: CaptureState) => Object.hasOwn(known, String(table.oid))
  const tracked = states.filter((state) => isCapturing(state) || isKnown(state))
  const others = states.filter((state) => !tracked.includes(state) && !labels.has(state.table.label))
  const [first] = others
  if (first !== undefined && (selection?.tables !== undefined || others.length === states.length)) {
    throw notCaptured(`Changes of ${first.table.label} are not captured`, first.table.label)
  }
  return { followed: tracked.map(({ table }) => table), others: others.map(({ table }) => table) }
}

function labelsIn(known: Readonly<Record<string, string>>): ReadonlySet<string> {
  return new Set(Object.values(known).flatMap((text) => parseRecord(text)?.label ?? []))
}

function notCaptured(message: string, table?: string): SyncError {
  return new SyncError('E_TRIGGER_MISSING', message, {
    table,
    hint: 'Run a full sync with `checkpoints` first: it installs the triggers.',
  })
}
