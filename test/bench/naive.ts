/** What one would write in an afternoon: a cursor, objects, and the SDK. */
import pg from 'pg'
import { CborCodec, type Surreal, Table } from 'surrealdb'

const batchRows = 500
type PlainRow = Record<string, unknown> & { readonly id: string }

/** The rows of a table as objects, in batches of 500, by a server-side cursor. */
async function* cursorRows(url: string, table: string): AsyncGenerator<PlainRow[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`begin; declare rows cursor for select * from ${table}`)
    for (;;) {
      const { rows } = await client.query<PlainRow>(`fetch ${batchRows} from rows`)
      if (rows.length === 0) return
      yield rows
    }
  } finally {
    await client.end()
  }
}

/** @returns how many rows */
export async function naiveCopy(url: string, table: string, db: Surreal): Promise<number> {
  let count = 0
  for await (const rows of cursorRows(url, table)) {
    await db.insert(new Table(table), rows)
    count += rows.length
  }
  return count
}

/** The same without a target. */
export async function naiveEncode(url: string, table: string): Promise<number> {
  const codec = new CborCodec({})
  let count = 0
  for await (const rows of cursorRows(url, table)) {
    codec.encode(rows)
    count += rows.length
  }
  return count
}
