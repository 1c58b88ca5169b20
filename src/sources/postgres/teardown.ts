/** Removes everything of this product from a database. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Connections } from './connections.js'
import { type AuditDetachment, markDetached } from './detachment.js'
import { changeUnderLocks, installLock, lockRelations } from './lock-retry.js'
import { type Leftover, leftoversOf, type Residue, readResidue, residueScript } from './residue.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

export interface TeardownOptions {
  readonly connections: Connections
  readonly names: AuditNames
  readonly auditSchema: string
  readonly warn: (warning: SyncWarning) => void
  readonly signal?: AbortSignal
  /** Why, if somebody will miss it: it stays in the source, in a table that nobody writes to. */
  readonly detachment?: AuditDetachment
}

/** The script that removes everything; empty if there is nothing. */
export function teardownScript({ connections, names, auditSchema }: TeardownOptions): Promise<string> {
  return connections.use((session) =>
    session.within('look', async () => residueScript(await readResidue(session, names, auditSchema))),
  )
}

/**
 * Triggers first, one table per transaction; then functions, tables and the role. May be repeated. A role that may not
 * remove all of it removes nothing.
 * @throws SyncError `E_RIGHTS` with the script for the owner as its hint; `E_LOCK_TIMEOUT`, and the rest can be removed later
 */
export async function teardown(options: TeardownOptions): Promise<void> {
  const { connections, names, auditSchema, detachment } = options
  await connections.use(async (session) => {
    const read = () => readResidue(session, names, auditSchema)
    // With the first thing that is removed: from then on changes may be missing.
    const mark = async () => detachment && markDetached(session, names, detachment)
    const residue = await session.within('look', () => readRemovable(session, names, auditSchema))
    const retry = { signal: options.signal, warn: options.warn }
    await changeUnderLocks(session, { ...retry, what: 'event triggers' }, () => remove(session, residue.eventTriggers))
    for (const [relation, triggers] of residue.triggers) {
      await changeUnderLocks(session, { ...retry, what: relation }, async () => {
        await session.run('removing', installLock)
        if (await exists(session, relation)) await lockRelations(session, [relation], 'access exclusive')
        await mark()
        await remove(session, triggers)
      })
    }
    await changeUnderLocks(session, { ...retry, what: 'the audit table' }, async () => {
      await session.run('removing', installLock)
      if (await exists(session, names.changes)) await lockRelations(session, [names.changes], 'access exclusive')
      await mark()
      const left = await read()
      await remove(session, leftoversOf(detachment === undefined ? left : withoutMark(left)))
    })
  })
}

/** All that is installed. @throws SyncError `E_RIGHTS` if this role may not remove all of it */
export async function readRemovable(session: Session, names: AuditNames, auditSchema: string): Promise<Residue> {
  const residue = await readResidue(session, names, auditSchema)
  if (leftoversOf(residue).some(({ removable }) => !removable)) throw refused(residueScript(residue))
  return residue
}

/** Without the table that the mark is in. */
function withoutMark(residue: Residue): Residue {
  return { ...residue, tables: residue.tables.filter(({ remove }) => !remove.endsWith('surreal_sync_meta')) }
}

async function remove(session: Session, leftovers: readonly Leftover[]): Promise<void> {
  for (const leftover of leftovers) await session.run('removing what was installed', leftover.remove)
}

async function exists(session: Session, relation: string): Promise<boolean> {
  const [row] = await session.rows('removing', 'select pg_catalog.to_regclass($1) is not null', [relation])
  return row?.[0] === 't'
}

function refused(script: string): SyncError {
  return new SyncError('E_RIGHTS', 'This role may not remove all that is installed, so nothing was removed', {
    hint: `Run this as the owner of the tables, or as a superuser:\n${script}`,
  })
}
