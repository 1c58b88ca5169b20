/** Removing records, or marking them, without ever deleting a whole table in one transaction, which SurrealKV does not survive. */
import type { Key, ReplaceBatch } from '../../core/batch.js'
import type { Abortable } from '../../core/source.js'
import { cbor } from './cbor-buffer.js'
import { idPages, type Passed, type StoredId } from './id-page.js'
import { readKey } from './key-reader.js'
import type { Lane } from './lane.js'
import type { TablePlan } from './table-plan.js'

const keptBytesMax = 4 * 1024 * 1024

/** Deletes every record of the table. */
export async function removeAll(lane: Lane, plan: TablePlan, options: Abortable): Promise<void> {
  const passed: Passed = { removed: 0 }
  for await (const page of idPages(lane, plan, options, passed)) {
    passed.removed += await removeRecords(lane, plan, page, options)
  }
}

/** Deletes the records that the source does not have, and those whose id cannot be a key of the table. */
export async function removeAbsent(
  lane: Lane,
  plan: TablePlan,
  batch: ReplaceBatch,
  options: Abortable,
): Promise<void> {
  const passed: Passed = { removed: 0 }
  for await (const page of idPages(lane, plan, options, passed)) {
    const gone: StoredId[] = []
    const asked: StoredId[] = []
    const keys: Key[] = []
    for (const id of page) {
      const key = readKey(plan.table, plan.shape.bare, id.key)
      if (key === undefined) gone.push(id)
      else {
        asked.push(id)
        keys.push(key)
      }
    }
    const absent = keys.length === 0 ? [] : await batch.absent(keys)
    if (absent.length !== keys.length) throw new Error(`absent() answered ${absent.length} of ${keys.length} keys`)
    gone.push(...asked.filter((_, index) => absent[index] === true))
    if (gone.length > 0) passed.removed += await removeRecords(lane, plan, gone, options)
  }
}

/** Returns how many are no longer there. */
async function removeRecords(
  lane: Lane,
  { table, removal }: TablePlan,
  ids: readonly StoredId[],
  options: Abortable,
): Promise<number> {
  const { kind, prefix } = removal
  if (kind === undefined) return 0
  await lane.write({ kind, bytes: idsBytes(lane, ids, prefix), table: table.label }, options)
  return kind === 'delete' ? ids.length : 0
}

/** An array of record ids in CBOR, each behind the prefix, valid until the lane encodes something else. */
export function idsBytes({ writer }: Lane, ids: readonly StoredId[], prefix?: Uint8Array): Uint8Array {
  writer.reset(keptBytesMax)
  writer.putHead(cbor.array, ids.length)
  for (const { bytes } of ids) {
    if (prefix !== undefined) writer.putRaw(prefix)
    writer.putRaw(bytes)
  }
  return writer.slice(0, writer.position)
}
