/** The rows of a table that have given keys, as they are now. */
import type { Key, RowBatch } from '../../core/batch.js'
import type { ReadOptions } from '../../core/source.js'
import type { Connections } from './connections.js'
import { waitForFlush } from './flush-gate.js'
import { keyJson } from './key-cells.js'
import type { PostgresTable } from './postgres-table.js'
import { reread } from './reread.js'
import { lock } from './snapshot.js'

/** In one snapshot, and nothing of it can vanish any more. Keys whose text is not worth the trouble are left out. */
export async function* presentRows(
  connections: Connections,
  table: PostgresTable,
  keys: readonly Key[],
  { limits, signal }: ReadOptions,
): AsyncGenerator<RowBatch> {
  const texts = new Set(keys.map((key) => keyJson(key, table)).filter((text) => text !== undefined))
  if (texts.size === 0) return
  const session = await connections.session()
  try {
    await session.begin('snapshot')
    await lock(session, [table])
    await waitForFlush(session, () => connections.session())
    yield* reread(session, table, [...texts].sort(), { ...limits, signal })
    await session.commit()
    session.release()
  } finally {
    session.destroy()
  }
}
