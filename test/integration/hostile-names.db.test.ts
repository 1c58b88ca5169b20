/** Tables and columns of any name mean themselves on both sides, and nothing else. */
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/demo/seeded-random.js'
import { createDatabase } from '../support/database.js'
import { integer, pick } from '../support/shapes-values.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const seed = Number(process.env.SEED ?? 20_260_731)
const counts = { wideTables: 10, columns: 1_000, tables: 120 }
const bytesMax = 63

const parts: readonly [string, ...string[]] = [
  '`',
  '``',
  '\\',
  '\\`',
  '⟩',
  '⟨',
  "'",
  '"',
  '""',
  ';',
  '--',
  '/*',
  '*/',
  '$',
  '$$',
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  '.',
  ':',
  '::',
  '->',
  '<-',
  ',',
  '@',
  '#',
  '%',
  '&',
  '|',
  '!',
  '?',
  '*',
  '+',
  '=',
  '<',
  '>',
  '~',
  '^',
  '\n',
  '\r',
  '\t',
  ' ',
  '\u0001',
  '\u007f',
  '\u00a0',
  '\u200b',
  '\u202e',
  '\ufeff',
  '\u2028',
  'é',
  'e\u0301',
  'ß',
  'İ',
  'ı',
  '🙂',
  '👩‍🚀',
  '漢',
  'ع',
  '\\u{41}',
  '\\n',
  '\\x41',
  'a',
  'A',
  'b',
  'B',
  '0',
  '1',
  '_',
  'REMOVE TABLE canary',
  '; DELETE canary; --',
  '`; REMOVE TABLE canary; --',
  'DROP TABLE t',
]
const words: readonly string[] = [
  'id',
  'ID',
  'Id',
  'id_',
  'in',
  'out',
  'In',
  'select',
  'SELECT',
  'from',
  'none',
  'NONE',
  'null',
  'true',
  'false',
  'table',
  'user',
  'order',
  'group',
  'limit',
  'value',
  'let',
  'return',
  'alter',
  'break',
  'continue',
  'create',
  'define',
  'delete',
  'explain',
  'for',
  'function',
  'if',
  'info',
  'insert',
  'rebuild',
  'relate',
  'remove',
  'sleep',
  'throw',
  'update',
  'upsert',
  'begin',
  'commit',
  'cancel',
  'this',
  'parent',
  'rand',
  'event',
  'before',
  'after',
  'input',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'length',
  '0',
  '1',
  '-1',
  '1e5',
  '1abc',
  ' ',
  '.',
  '*',
  '"',
  "'",
  '`',
  '\\',
  'x'.repeat(63),
  'é'.repeat(31),
  '🙂'.repeat(15),
  'ctid_',
  'tableoid_',
  'row',
  'rows',
  't',
  'd',
  'k0',
  'surreal_sync',
]

/** Different names, of which none is longer than PostgreSQL allows. */
function names(random: () => number, count: number, taken: ReadonlySet<string>): readonly string[] {
  const found = new Set<string>()
  const add = (name: string) => {
    if (name !== '' && Buffer.byteLength(name) <= bytesMax && !taken.has(name) && found.size < count) found.add(name)
  }
  for (const word of words) add(word)
  while (found.size < count) {
    const name = Array.from({ length: integer(random, 1, 8) }, () => pick(random, parts)).join('')
    add(name)
    if (random() < 0.2) add(name.toUpperCase())
    if (random() < 0.2) add(`${name}${'z'.repeat(Math.max(0, bytesMax - Buffer.byteLength(name)))}`)
  }
  return [...found]
}

const quote = pg.escapeIdentifier

describe('hostile names', () => {
  it(`of 10,000 columns and tables arrive as they are, in both phases, with SEED=${seed}`, {
    timeout: 180_000,
  }, async () => {
    const random = seededRandom(seed)
    await using database = await createDatabase()
    const client = await database.client()
    const tables = names(random, counts.wideTables + counts.tables, new Set(['canary'])).map((name, index) => ({
      name,
      columns: names(random, index < counts.wideTables ? counts.columns : 2, new Set(['the key'])),
    }))
    const insert = async (id: number) => {
      for (const { name, columns } of tables) {
        await client.query(
          `insert into ${quote(name)} values (${[id, ...columns.map((_, index) => index + id)].join(', ')})`,
        )
      }
    }
    for (const { name, columns } of tables) {
      const definition = columns.map((column) => `${quote(column)} int`)
      await client.query(`create table ${quote(name)} ("the key" int primary key, ${definition.join(', ')})`)
    }
    await insert(1)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.db.query(`CREATE canary:1 CONTENT { sings: true }`)
    const labels = tables.map(({ name }) => `public.${name}`)
    await replica.full()
    await replica.expectEqual({ tables: labels })
    await insert(2)
    await client.query(tables.map(({ name }) => `delete from ${quote(name)} where "the key" = 1`).join(';'))
    await replica.catchUp()
    const report = await replica.expectEqual({ tables: labels })
    expect(report.rows).toBe(tables.length)
    expect(await replica.printed('SELECT * FROM canary')).toBe('[{ id: canary:1, sings: true }]')
    expect(replica.warnings.filter(({ code }) => code !== 'plaintext' && code !== 'column_renamed')).toEqual([])
    const identifiers = tables.reduce((sum, { columns }) => sum + columns.length + 1, 0)
    expect(identifiers).toBeGreaterThanOrEqual(10_000)
  })

  it('that would meet the records of others are refused by name', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(
      'create schema other; create table t (id int primary key); create table other.t (id int primary key)',
    )
    await using replica = await SurrealReplica.open({ url: database.url })
    await expect(replica.full()).rejects.toMatchObject({
      code: 'E_NAME_COLLISION',
      message: expect.stringMatching(/other\.t.*public\.t|public\.t.*other\.t/),
    })
  })
})
