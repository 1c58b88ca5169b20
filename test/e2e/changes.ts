/** Random changes to every table of a database, whatever its columns are. */
import pg, { type ClientBase } from 'pg'
import { seededRandom } from '../../src/demo/seeded-random.js'

interface ChangedTable {
  readonly label: string
  /** Quoted; `only` where children have rows of their own. */
  readonly relation: string
  /** Where rows wait that are not there yet. */
  readonly held: string
  readonly key: readonly string[]
  /** The key is an identity that cannot be updated. */
  readonly fixed: boolean
  /** Columns that can be written, the key's included. */
  readonly columns: readonly string[]
}

const tablesSql = `
select n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned,
  (select array_agg(quote_ident(a.attname) order by a.attnum) from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
  exists (select from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
    where i.indrelid = c.oid and i.indisprimary and a.attidentity = 'a') as fixed,
  (select array_agg(quote_ident(a.attname) order by a.attnum) from pg_index i join pg_attribute a
    on a.attrelid = c.oid and a.attnum = any (i.indkey) where i.indrelid = c.oid and i.indisprimary) as key
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname || '.' || c.relname = any ($1)
order by 1, 2`

/** The part of a table's rows that each kind of change touches. */
const share = 5

/**
 * Changes tables by what they hold: cells move from row to row, keys and rows come from a share of the rows that was set
 * aside before. The same seed makes the same changes. All within one session, which keeps what was set aside.
 */
export class Changes {
  readonly #client: ClientBase
  readonly #random: () => number
  readonly #tables: readonly ChangedTable[]

  private constructor(client: ClientBase, seed: number, tables: readonly ChangedTable[]) {
    this.#client = client
    this.#random = seededRandom(seed)
    this.#tables = tables
  }

  /** Sets a third of each table's rows aside. */
  static async begin(client: ClientBase, seed: number, labels: readonly string[]): Promise<Changes> {
    const { rows } = await client.query(tablesSql, [labels])
    const tables = rows.map(({ schema, name, partitioned, columns, key, fixed }, index) => ({
      label: `${schema}.${name}`,
      relation: `${partitioned ? '' : 'only '}${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`,
      held: `pg_temp.held_${index}`,
      key,
      fixed,
      columns,
    }))
    if (tables.length !== labels.length) throw new Error('A table was not found.')
    const changes = new Changes(client, seed, tables)
    for (const { relation, held, columns } of tables) {
      const chosen = `(tableoid, ctid) in (select tableoid, ctid from ${relation} order by ${changes.#order()} limit
        (select count(*) / 3 from ${relation}))`
      await client.query(`create temp table ${held} as select ${columns.join(', ')} from ${relation} where ${chosen}`)
      await client.query(`delete from ${relation} where ${chosen}`)
    }
    return changes
  }

  /** Updates, deletes, moves keys and inserts in every table, and truncates one of them in between. */
  async apply(): Promise<void> {
    const emptied = this.#tables[Math.floor(this.#random() * this.#tables.length)]
    for (const table of this.#tables) {
      await this.#update(table)
      if (table === emptied) await this.#client.query(`truncate ${table.relation}`)
      await this.#delete(table)
      await this.#moveKeys(table)
      await this.#insert(table)
    }
  }

  /** Cells of other rows. */
  async #update({ relation, key, columns }: ChangedTable): Promise<void> {
    const cells = columns.filter((column) => !key.includes(column))
    if (cells.length === 0) return
    await this.#client.query(
      `update ${relation} t set ${cells.map((cell) => `${cell} = b.${cell}`).join(', ')}
       from (select tableoid, ctid, row_number() over (order by ${this.#order()}) as number from ${relation}) a
       join (select ${cells.join(', ')}, row_number() over (order by ${this.#order()}) as number from ${relation}) b
         using (number)
       where t.tableoid = a.tableoid and t.ctid = a.ctid and number % ${share} < 2`,
    )
  }

  async #delete({ relation }: ChangedTable): Promise<void> {
    await this.#client.query(
      `delete from ${relation} where (tableoid, ctid) in (
         select tableoid, ctid from ${relation} order by ${this.#order()} limit (select count(*) / ${share} from ${relation}))`,
    )
  }

  /** To keys of rows that were set aside. */
  async #moveKeys({ relation, held, key, fixed }: ChangedTable): Promise<void> {
    if (fixed) return
    const sets = key.map((column) => `${column} = b.${column}`)
    await this.#client.query(
      `update ${relation} t set ${sets.join(', ')}
       from (select tableoid, ctid, row_number() over (order by ${this.#order()}) as number from ${relation}) a
       join (select ${key.join(', ')}, row_number() over (order by ${this.#order()}) as number from ${held}) b
         using (number)
       where t.tableoid = a.tableoid and t.ctid = a.ctid and number % ${share} = 0`,
    )
  }

  /** In two transactions, of which one is rolled back. */
  async #insert({ relation, held, columns }: ChangedTable): Promise<void> {
    const insert = `insert into ${relation.replace(/^only /, '')} (${columns.join(', ')}) overriding system value
      select ${columns.join(', ')} from ${held} on conflict do nothing`
    await this.#client.query(`begin; ${insert}; rollback`)
    await this.#client.query(insert)
  }

  /** An order of rows that depends on nothing but the seed and the place of the row. */
  #order(): string {
    return `hashtextextended(ctid::text, ${Math.floor(this.#random() * 2 ** 31)}), ctid`
  }
}
