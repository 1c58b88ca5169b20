/** Creates the tables of the shapes and fills them. */
import pg, { type ClientBase } from 'pg'
import type { Random } from './shapes-values.js'

/** Makes the texts of one row, in the order of the columns. */
export type MakeRow = (random: Random, index: number) => readonly (string | null)[]

const nullShare = 0.12

/** Creates tables and remembers their labels. */
export class Shapes {
  readonly client: ClientBase
  readonly random: Random
  readonly labels: string[] = []

  constructor(client: ClientBase, random: Random) {
    this.client = client
    this.random = random
  }

  async table(schema: string, name: string, definition: string): Promise<void> {
    await this.client.query(`create table ${qualified(schema, name)} ${definition}`)
    this.labels.push(`${schema}.${name}`)
  }

  /** Inserts up to `count` rows; those whose key is taken are left out. */
  async fill(schema: string, name: string, columns: readonly string[], count: number, makeRow: MakeRow): Promise<void> {
    const literal = (cell: string | null) => (cell === null ? 'null' : pg.escapeLiteral(cell))
    const rowsPerStatement = Math.max(1, Math.floor(3_000 / columns.length))
    for (let start = 0; start < count; start += rowsPerStatement) {
      const rows = Array.from({ length: Math.min(rowsPerStatement, count - start) }, (_, index) => {
        return `(${makeRow(this.random, start + index)
          .map(literal)
          .join(', ')})`
      })
      await this.client.query(
        `insert into ${qualified(schema, name)} (${columns.map(pg.escapeIdentifier).join(', ')})
         values ${rows.join(', ')}
         on conflict do nothing`,
      )
    }
  }
}

export function qualified(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`
}

/** A cell that is null now and then. */
export function nullable(random: Random, generate: () => string): string | null {
  return random() < nullShare ? null : generate()
}
