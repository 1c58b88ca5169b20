import pg from 'pg'
import { Surreal } from 'surrealdb'
import { createNodeEngines } from '@surrealdb/node'
import { startPostgres } from './postgres-server.js'
import { createShapes } from '../../test/support/shapes.js'
import { compareDatabases, describeDifference } from './comparison.js'
import { MemoryCheckpointStore, PostgresTriggerSource, SurrealSink, SyncEngine } from '../index.js'
const t0 = performance.now(); const log = (...a: unknown[]) => console.log(Math.round(performance.now() - t0), ...a)
await using server = await startPostgres()
const url = await server.createDatabase('shop')
const c = new pg.Client(url); await c.connect()
const labels = await createShapes(c, { seed: Number(process.argv[2] ?? 1), rows: Number(process.argv[3] ?? 100) })
log(labels.length, 'tables')
const db = new Surreal({ engines: createNodeEngines() })
await db.connect('mem://'); await db.use({namespace:'a',database:'b'})
try {
const checkpoints = new MemoryCheckpointStore()
const engine = () => { const e = new SyncEngine({ source: new PostgresTriggerSource({ url }), sink: new SurrealSink({ connect: async () => db, disconnect: async () => {} }), checkpoints })
 e.on('warning', (w) => { if (process.argv[4]) log('warning', w.code, w.table, w.column, w.message, w.count) }); return e }
await engine().run({ phase: 'full' })
log('full')
const compare = async () => { const r = await compareDatabases({ source: url, target: db })
log(r.equal, r.rows, r.differences, r.tables.filter(t => t.differences || t.rows !== t.records).map(t => `${t.table} ${t.rows} ${t.records} ${t.differences}`))
for (const e of r.examples) console.log(describeDifference(e).slice(0, 1000)) }
await compare()
// touch everything
for (const l of labels) { const i = l.indexOf('.'); const t = c.escapeIdentifier(l.slice(0,i)) + '.' + c.escapeIdentifier(l.slice(i+1))
  const { rows } = await c.query(`select column_name as n from information_schema.columns where table_schema = $1 and table_name = $2 and is_generated = 'NEVER' order by ordinal_position`, [l.slice(0,i), l.slice(i+1)])
  const cols = rows.map(r => c.escapeIdentifier(r.n))
  await c.query(`create temp table x as select * from ${t}; truncate ${t} cascade; insert into ${t} (${cols}) overriding system value select ${cols} from x; drop table x; delete from ${t} where ctid in (select ctid from ${t} limit 3)`).catch(e => { throw new Error(t + e.message) }) }
log('rewritten')
await engine().run({ phase: 'incremental' })
log('incremental')
await compare()
} finally { await db.close(); await c.end() }
