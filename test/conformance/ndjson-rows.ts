/** The tables that lines of NDJSON add up to. */
import { readFile } from 'node:fs/promises'
import type { Row } from '../../src/core/batch.js'
import type { Table } from '../../src/core/schema.js'

/** Applies the lines in order, as any reader would. */
export async function ndjsonRows(file: string, { label, key }: Table): Promise<readonly Row[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const rows = new Map<string, Row>()
  const idOf = (row: Row) => JSON.stringify(key.map(({ name }) => row[name]))
  for (const line of text.split('\n').filter((part) => part !== '')) {
    const { op, table, row, key: gone } = JSON.parse(line)
    if (table !== label) continue
    if (op === 'truncate') rows.clear()
    if (op === 'upsert') rows.set(idOf(row), row)
    if (op === 'delete') rows.delete(idOf(gone))
  }
  return [...rows.values()]
}
