/** The source and the sink that talk to databases keep the invariants. */
import { createNodeEngines } from '@surrealdb/node'
import type pg from 'pg'
import { Surreal } from 'surrealdb'
import { afterAll, beforeAll, describe, it } from 'vitest'
import type { Row } from '../../src/core/batch.js'
import type { Table } from '../../src/core/schema.js'
import { SurrealSink } from '../../src/sinks/surreal/surreal-sink.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import {
  type SinkSubject,
  type SourceChange,
  type SourceSubject,
  testSink,
  testSource,
} from '../../src/testing/index.js'
import { createDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

testSource({ describe, it }, { name: 'PostgresTriggerSource', create: postgresSubject })

testSink({ describe, it }, { name: 'SurrealSink in this process', transactional: true, create: embeddedSubject })

let server: SurrealServer
let count = 0
beforeAll(async () => {
  server = await startSurreal()
})
afterAll(async () => {
  await server.stop()
})
testSink({ describe, it }, { name: 'SurrealSink over WebSocket', transactional: true, create: serverSubject })

const keys = { users: 'id', orders: 'tenant, number' }

async function postgresSubject(): Promise<SourceSubject> {
  const database = await createDatabase()
  const client = await database.client()
  await client.query(`create table users (id integer primary key, name text);
    create table orders (tenant text, number integer, note text, primary key (tenant, number))`)
  return {
    source: () => new PostgresTriggerSource({ url: database.url }),
    async commit(changes) {
      await client.query('begin')
      for (const change of changes) await make(client, change)
      await client.query('commit')
    },
    async begin(changes) {
      const other = await database.client()
      await other.query('begin')
      for (const change of changes) await make(other, change)
      const end = async (how: string) => {
        await other.query(how)
        await other.end()
      }
      return { commit: () => end('commit'), rollback: () => end('rollback') }
    },
    close: async () => database[Symbol.asyncDispose](),
  }
}

async function make(client: pg.Client, change: SourceChange): Promise<void> {
  const { table } = change
  if (change.op === 'truncate') {
    await client.query(`truncate ${table}`)
    return
  }
  for (const row of change.rows) {
    const json = JSON.stringify(row)
    const key = keys[table]
    if (change.op === 'delete') {
      await client.query(
        `delete from ${table} where (${key}) in (select ${key} from json_populate_record(null::${table}, $1))`,
        [json],
      )
    } else {
      const set = table === 'users' ? 'name = excluded.name' : 'note = excluded.note'
      await client.query(
        `insert into ${table} select * from json_populate_record(null::${table}, $1) on conflict (${key}) do update set ${set}`,
        [json],
      )
    }
  }
}

async function embeddedSubject(): Promise<SinkSubject> {
  const db = new Surreal({ engines: createNodeEngines() })
  await db.connect('mem://', { namespace: 'kit', database: 'kit' })
  return {
    ...surrealSubject(db),
    sink: () => new SurrealSink({ connect: async () => db, disconnect: async () => undefined }),
  }
}

async function serverSubject(): Promise<SinkSubject> {
  count += 1
  const place = { namespace: 'kit', database: `kit${count}` }
  const root = { username: 'root', password: 'root' }
  const db = new Surreal()
  await db.connect(server.http, { ...place, authentication: root })
  return { ...surrealSubject(db), sink: () => new SurrealSink({ url: server.ws, ...place, ...root }) }
}

/** Reads and plants with the SDK alone. */
function surrealSubject(db: Surreal): Omit<SinkSubject, 'sink'> {
  return {
    async rows(table) {
      const [response] = await db
        .query(`SELECT *, record::id(id) AS key FROM type::table($name)`, { name: table.name })
        .responses()
      return response?.success === true && Array.isArray(response.result)
        ? response.result.map((record) => rowOf(table, record))
        : []
    },
    async plant(table, rows) {
      for (const row of rows)
        await db.query('CREATE type::record($name, $id) CONTENT $row', { name: table.name, id: row.id, row })
    },
    async close() {
      await db.close()
    },
  }
}

/** The key of a record is its id, of one column or of several. */
function rowOf({ columns, key }: Table, record: Record<string, unknown>): Row {
  const parts = key.length === 1 ? [record.key] : [record.key].flat()
  const values = columns.map(({ name }) => {
    const place = key.findIndex((column) => column.name === name)
    return [name, place >= 0 ? parts[place] : record[name]]
  })
  return Object.fromEntries(values.map(([name, value]) => [name, value ?? null])) as Row
}
