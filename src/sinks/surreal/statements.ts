/** The constant SurrealQL texts. Values and table names travel as parameters only; `DEFINE` is the exception. */
import { quoteIdentifier } from './quote.js'

/** The table of state records, beside the target tables. */
export const stateTable = 'surreal_sync_state'

/** The table of rows that were refused. */
export const quarantineTable = 'surreal_sync_quarantine'

/** What a write transaction does with records, with the ids of records to delete or alter, or with those to mark as deleted. */
export type WriteKind = 'insert' | 'upsert' | 'rewrite' | 'delete' | 'alter' | 'mark'

/** Fields that records get, as null, where they have none; and fields that they lose. */
export interface FieldChanges {
  readonly added: readonly string[]
  readonly dropped: readonly string[]
}

/** `THROW`n when the state record is not the one this sink wrote last. */
export const fencedText = 'surreal_sync: state record is '

/** The parameter that carries them. Records and ids may travel in one transaction. */
export function writeParameter(kind: WriteKind): string {
  if (kind === 'mark') return 'marks'
  return kind === 'delete' || kind === 'alter' ? 'ids' : 'records'
}

/**
 * Update, else create, is cheaper than UPSERT on every engine: UPSERT takes a savepoint for each record. A record that is
 * there already keeps its graph edges, and its events see an update.
 *
 * SurrealDB does not store an update that it finds equal to what is there, and to it `1`, `1f` and `1dec` are equal. To
 * rewrite is to see to it that the new kind is stored, by way of an empty record where it has to be.
 *
 * A record that is marked keeps the time of its first mark, so that to do it again changes nothing. One that is not there
 * stays so.
 */
const writes: { readonly [Kind in WriteKind]: (rows: string, fields: FieldChanges) => string } = {
  insert: (rows) => `INSERT ${rows} RETURN NONE;`,
  upsert: (rows) => `FOR $row IN ${rows} {
  IF (UPDATE $row.id CONTENT $row RETURN VALUE id) == [] { CREATE $row.id CONTENT $row RETURN NONE }
};`,
  rewrite: (rows) => `FOR $row IN ${rows} {
  LET $before = (SELECT * FROM ONLY $row.id);
  LET $after = (UPDATE $row.id CONTENT $row RETURN VALUE <string>$this);
  IF $after == [] { CREATE $row.id CONTENT $row RETURN NONE }
  ELSE IF $before == $row AND <string>$before != $after[0] {
    UPDATE $row.id CONTENT { id: $row.id } RETURN NONE;
    UPDATE $row.id CONTENT $row RETURN NONE
  }
};`,
  delete: (rows) => `DELETE ${rows} RETURN NONE;`,
  alter: (rows, { added, dropped }) => {
    const nulls = added
      .map(quoteIdentifier)
      .map((field) => `UPDATE $records SET ${field} = NULL WHERE ${field} = NONE RETURN NONE;`)
    const gone =
      dropped.length === 0 ? [] : [`UPDATE $records UNSET ${dropped.map(quoteIdentifier).join(', ')} RETURN NONE;`]
    return [`LET $records = ${rows};`, ...nulls, ...gone].join('\n')
  },
  mark: (rows) => `FOR $row IN ${rows} {
  UPDATE $row.id MERGE object::from_entries([[$row.field, time::now()]]) WHERE $this[$row.field] = NONE RETURN NONE
};`,
}

/** What every transaction of a lane does to its state record. Other fields of it stay. */
const signature = 'pipeline = $pipeline, token = $next, written_at = time::now()'
/** What a delta, or a part of one, leaves there besides. */
const progress = `${signature}, part = $part, wrote = $wrote, consistent = $consistent`

/**
 * What can become of a state record. Nothing here may refer to what the record holds: what UPSERT sets it computes on an
 * empty record, also where there is one.
 */
const stateChanges = { token: signature, progress, checkpoint: `${progress}, checkpoint = $checkpoint` } as const

const noFields: FieldChanges = { added: [], dropped: [] }

export interface WriteShape {
  /** In this order. */
  readonly kinds: readonly WriteKind[]
  /** Whether the server decodes what it gets. In place: a LET would copy it once more. */
  readonly decodes: boolean
  readonly state: keyof typeof stateChanges
  /** For `alter`. */
  readonly fields?: FieldChanges
  /** Whether entries of the quarantine come and go with it: `$kept` and `$released`. */
  readonly aside?: boolean
}

const asideSteps = `DELETE $released RETURN NONE;
FOR $entry IN $kept { UPSERT $entry.id CONTENT $entry RETURN NONE; UPDATE $entry.id SET at = time::now() RETURN NONE };`

function stepTexts({ kinds, decodes, fields = noFields, aside = false }: Omit<WriteShape, 'state'>): string {
  const steps = kinds.map((kind) => {
    const parameter = `$${writeParameter(kind)}`
    return writes[kind](decodes ? `encoding::cbor::decode(${parameter})` : parameter, fields)
  })
  return [...steps, ...(aside ? [asideSteps] : [])].join('\n')
}

/**
 * One write transaction. It does nothing unless the lane's state record holds one of `$known`, so that a request that
 * arrives late changes nothing, and it must return `$next`: without rights SurrealDB reports success and writes nothing.
 */
export function writeTransaction({ state, ...steps }: WriteShape): string {
  return `BEGIN;
LET $seen = (SELECT VALUE token FROM ONLY $state);
IF $seen NOT IN $known { THROW '${fencedText}' + (IF $seen == NONE { 'missing' } ELSE { 'foreign' }) };
${stepTexts(steps)}
UPSERT $state SET ${stateChanges[state]} RETURN VALUE token;
COMMIT;`
}

const notLeased = (condition: string) => `LET $found = (SELECT VALUE lease FROM ONLY $first) ?? '';
IF ${condition} { THROW '${fencedText}foreign' };`

/**
 * Takes the state records of all lanes at once, those beyond the ones in use included: from here on nobody else writes.
 * It does nothing if another run has begun since the lease was read, so a process that was frozen before it got here does
 * not come back over the one that took its place. The first lane's record keeps the lease.
 */
export const claimTransaction = `BEGIN;
${notLeased('$found NOT IN $leases')}
UPDATE $all SET token = $next RETURN NONE;
FOR $lane IN $lanes { UPSERT $lane SET ${signature} RETURN NONE };
UPSERT $first SET lease = $lease, ${signature} RETURN VALUE token;
COMMIT;`

/** `THROW`n at the end of a rehearsal, so that nothing of it happens, with what was found out. */
export const rehearsedText = 'surreal_sync: rehearsed, '

/** Writes as {@link writeTransaction} does, and takes it back. */
export function rehearseSteps(steps: Omit<WriteShape, 'state'>): string {
  return `BEGIN;
${stepTexts(steps)}
THROW '${rehearsedText}allowed';
COMMIT;`
}

export function rehearseDefinition(definition: string): string {
  return `BEGIN;
${definition}
THROW '${rehearsedText}allowed';
COMMIT;`
}

/** Without rights SurrealDB may refuse, or report success and write nothing. */
export const rehearseWrite = `BEGIN;
${defineTable(stateTable)}
LET $written = (UPSERT type::record('${stateTable}', [$pipeline, 'rehearsal']) CONTENT { pipeline: $pipeline } RETURN VALUE pipeline);
THROW '${rehearsedText}' + (IF $written == [$pipeline] { 'allowed' } ELSE { 'forbidden' });
COMMIT;`

/** The table of an examination's record, which is there for a moment. */
export const probeTable = 'surreal_sync_check'

/** One record, written, read back and removed, each by a query of its own; the table goes with the last of them. */
export const probe = {
  define: defineTable(probeTable),
  write: 'UPSERT $record CONTENT { value: $value } RETURN VALUE value;',
  read: 'SELECT VALUE value FROM ONLY $record;',
  remove: 'DELETE $record RETURN BEFORE;',
  undefine: `IF (SELECT VALUE id FROM ${probeTable} LIMIT 1) == [] { REMOVE TABLE IF EXISTS ${probeTable} };`,
  clock: 'RETURN time::micros(time::now());',
} as const

/** A state record: of a lane, or the pipeline's own, which says what target tables it owns. */
export const readState = 'SELECT * FROM ONLY $record;'
export const writePipeline = `BEGIN;
${notLeased('$found != $lease')}
UPSERT $record CONTENT { pipeline: $pipeline, tables: $tables, written_at: time::now() } RETURN VALUE pipeline;
COMMIT;`

export const readQuarantine = 'SELECT table, record, key, code, reason FROM $range;'

export const firstId = 'SELECT VALUE id FROM $table LIMIT 1;'

/** Ids in key order. As bytes they stay exactly what they are: the SDK cannot tell `3` from `3f`. */
export const idQueries = {
  /** The one of that number, from 0. */
  end: {
    encoded: 'RETURN encoding::cbor::encode((SELECT VALUE id FROM $table START $start LIMIT 1));',
    plain: 'SELECT VALUE id FROM $table START $start LIMIT 1;',
  },
  range: {
    encoded: `LET $ids = encoding::cbor::decode($range);
RETURN encoding::cbor::encode((SELECT VALUE id FROM $ids));`,
    plain: 'SELECT VALUE id FROM $range;',
  },
} as const

/** Fails if the function is missing (SurrealDB 2) or denied. */
export const probeFunction = 'RETURN encoding::cbor::decode($bytes);'
export const probeValue = 'RETURN $value;'

export function defineNamespace(name: string): string {
  return `DEFINE NAMESPACE IF NOT EXISTS ${quoteIdentifier(name)};`
}

export function defineDatabase(name: string): string {
  return `DEFINE DATABASE IF NOT EXISTS ${quoteIdentifier(name)};`
}

export function defineTable(name: string): string {
  return `DEFINE TABLE IF NOT EXISTS ${quoteIdentifier(name)} TYPE ANY SCHEMALESS;`
}
