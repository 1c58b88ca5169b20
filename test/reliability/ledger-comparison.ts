/** What became of every value that was appended, now that nobody writes and everything has been applied. */
import pg from 'pg'
import { openTarget } from '../e2e/target.js'
import { compareDatabases } from '../support/compare.js'

export interface LedgerComparison {
  readonly rows: number
  /** Rows that are missing, extra or different, of all tables. */
  readonly differences: number
  readonly appends: number
  /** Appends that the target lacks, has twice, or has in another order. */
  readonly lost: number
  readonly doubled: number
  readonly reordered: number
  readonly failures: readonly string[]
}

export async function compareLedger(source: string, target: string): Promise<LedgerComparison> {
  await using connection = await openTarget(target)
  const { rows, differences, examples } = await compareDatabases({ source, target: connection.db })
  const [found] = await connection.db.query<[readonly List[]]>('SELECT record::id(id) AS id, items FROM lists')
  const byId = new Map(found.map(({ id, items }) => [id, items]))
  let [appends, lost, doubled, reordered] = [0, 0, 0, 0]
  for (const { id, items } of await sourceLists(source)) {
    const has = byId.get(id) ?? []
    const there = new Set(has)
    appends += items.length
    lost += items.filter((item) => !there.has(item)).length
    doubled += has.length - there.size
    const common = items.filter((item) => there.has(item))
    const order = [...there].filter((item) => items.includes(item))
    reordered += common.filter((item, index) => item !== order[index]).length
  }
  const failures = examples.map(({ table, kind, key }) => `${table} ${key} is ${kind}`)
  return { rows, differences, appends, lost, doubled, reordered, failures }
}

interface List {
  readonly id: number
  readonly items: readonly number[]
}

async function sourceLists(url: string): Promise<readonly List[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<List>('select id, items from lists')).rows
  } finally {
    await client.end()
  }
}
