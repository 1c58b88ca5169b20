/** Runs the tables of docs/postgresql-data-types.md: what they say is what is stored. */
import { readFile } from 'node:fs/promises'
import { createNodeEngines } from '@surrealdb/node'
import type pg from 'pg'
import { Surreal } from 'surrealdb'
import { describe, expect, it } from 'vitest'
import { PostgresTriggerSource, SurrealSink, SyncEngine } from '../../src/index.js'
import { builtinTypes, extensionTypes } from '../../src/sources/postgres/codecs/builtin.js'
import { createDatabase } from '../support/database.js'
import { standInSql } from '../support/stand-in.js'

const page = await readFile(new URL('../../docs/postgresql-data-types.md', import.meta.url), 'utf8')
const cell = '`([^`]+)`'
const examples = [...page.matchAll(new RegExp(`^\\| ${cell} \\| ${cell} \\| ([^|]+) \\| ${cell} \\|$`, 'gm'))].map(
  ([, type = '', example = '', kind = '', stored = ''], index) => ({ name: `t${index}`, type, example, kind, stored }),
)

/** Types that no application has columns of, or that differ from others on the page by their name alone. */
const withoutExample = [
  'cidsend',
  'cstring_send',
  'tidsend',
  'unknownsend',
  'xid8send',
  'xidsend',
  'lquery_send lquery',
  'ltxtq_send ltxtquery',
]

const [, typesSql = ''] = /^```sql\n(.*?)^```$/ms.exec(page) ?? []

/** What PostGIS and pgvector send for the examples of their types, for servers that do not have them. */
const standIns: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  geometry: {
    'POINT(1 2)': '0101000000000000000000F03F0000000000000040',
    'LINESTRING(0 0,1 2)': '01020000000200000000000000000000000000000000000000000000000000F03F0000000000000040',
    'POINT Z (1 2 3)': '0101000080000000000000F03F00000000000000400000000000000840',
    'GEOMETRYCOLLECTION(POINT(1 2))': '0107000000010000000101000000000000000000F03F0000000000000040',
  },
  geography: { 'POINT(1 2)': '0101000020E6100000000000000000F03F0000000000000040' },
  vector: { '[1,-2.5,3.14]': '000300003F800000C02000004048F5C3' },
  halfvec: { '[1,-2]': '000200003C00C000' },
  sparsevec: { '{1:1,4:2}/5': '00000005000000020000000000000000000000033F80000040000000' },
}

/** Types that send the bytes they were given, where an extension is missing. Returns their names. */
async function standIn(client: pg.Client): Promise<ReadonlySet<string>> {
  const made = new Set<string>()
  for (const extension of ['postgis', 'vector']) {
    const { rowCount } = await client.query('select from pg_available_extensions where name = $1', [extension])
    if (rowCount === 1) await client.query(`create extension ${extension}`)
  }
  for (const type of Object.keys(standIns)) {
    const { rowCount } = await client.query('select from pg_type where typname = $1', [type])
    if (rowCount !== 0) continue
    await client.query(standInSql(type))
    made.add(type)
  }
  return made
}

describe('docs/postgresql-data-types.md', () => {
  it('has examples', () => {
    expect(examples.length).toBeGreaterThanOrEqual(75)
  })

  it('says what is stored, in both phases', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(typesSql)
    const made = await standIn(client)
    for (const { name, type } of examples) await client.query(`create table ${name} (id int primary key, v ${type})`)
    const insert = async (id: number) => {
      for (const { name, type, example } of examples) {
        const input = made.has(type) ? `\\x${standIns[type]?.[example]}` : example
        await client.query(`insert into ${name} values (${id}, $1)`, [input])
      }
    }
    const { rows: sent } = await client.query<{ readonly builtin: string; readonly extension: string }>(
      `select p.proname as builtin, p.proname || ' ' || t.typname as extension
       from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_proc p on p.oid = t.typsend
       where a.attrelid = any ($1::regclass[]) and a.attname = 'v'`,
      [examples.map(({ name }) => name)],
    )
    const shown = new Set(sent.flatMap(({ builtin, extension }) => [builtin, extension]))
    expect([...builtinTypes.keys(), ...extensionTypes.keys()].filter((name) => !shown.has(name)).sort()).toEqual(
      [...withoutExample].sort(),
    )
    await insert(1)
    const db = new Surreal({ engines: createNodeEngines() })
    await db.connect('mem://')
    await db.use({ namespace: 'n', database: 'd' })
    try {
      const source = new PostgresTriggerSource({ url: database.url })
      const sink = new SurrealSink({ connect: async () => db, disconnect: async () => {}, writers: 1 })
      const engine = new SyncEngine({ source, sink })
      let inserted: Promise<void> | undefined
      engine.on('checkpoint', ({ kind }) => {
        if (kind === 'full_sync_end') inserted = insert(2)
      })
      const stop = new AbortController()
      engine.on('caughtUp', ({ text }) => {
        if (Number(text.split(':').at(-1)) >= examples.length) stop.abort()
      })
      await engine.run({ follow: true, signal: stop.signal })
      await inserted
      const wrong: unknown[] = []
      for (const { name, type, example, kind, stored } of examples) {
        const literal = stored.startsWith('{') && kind.startsWith('geometry') ? `<geometry> ${stored}` : stored
        const [rows] = await db.query<[unknown[][]]>(
          `SELECT VALUE [v, type::of(v), v = ${literal} AND <string>[v] = <string>[${literal}]] FROM ${name}`,
        )
        const right = rows.every(
          ([value, actual, same]) => actual === kind && (stored === 'NaN' ? Number.isNaN(value) : same === true),
        )
        if (rows.length !== 2 || !right) wrong.push({ type, example, kind, stored, rows })
      }
      expect(wrong).toEqual([])
    } finally {
      await db.close()
    }
  })
})
