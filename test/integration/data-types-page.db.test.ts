/** Runs the tables of docs/postgresql-data-types.md: what they say is what is stored. */
import { readFile } from 'node:fs/promises'
import { createNodeEngines } from '@surrealdb/node'
import { Surreal } from 'surrealdb'
import { describe, expect, it } from 'vitest'
import { PostgresTriggerSource, SurrealSink, SyncEngine } from '../../src/index.js'
import { createDatabase } from '../support/database.js'

const page = await readFile(new URL('../../docs/postgresql-data-types.md', import.meta.url), 'utf8')
const cell = '`([^`]+)`'
const examples = [...page.matchAll(new RegExp(`^\\| ${cell} \\| ${cell} \\| ([^|]+) \\| ${cell} \\|$`, 'gm'))].map(
  ([, type = '', example = '', kind = '', stored = ''], index) => ({ name: `t${index}`, type, example, kind, stored }),
)

describe('docs/postgresql-data-types.md', () => {
  it('has examples', () => {
    expect(examples.length).toBeGreaterThan(40)
  })

  it('says what is stored, in both phases', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    for (const { name, type } of examples) await client.query(`create table ${name} (id int primary key, v ${type})`)
    const insert = async (id: number) => {
      for (const { name, example } of examples) await client.query(`insert into ${name} values (${id}, $1)`, [example])
    }
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
        const literal = kind === 'geometry<polygon>' ? `<geometry> ${stored}` : stored
        const [rows] = await db.query<[unknown[][]]>(
          `SELECT VALUE [v, type::of(v), v = ${literal} AND type::of(v) = type::of(${literal})] FROM ${name}`,
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
