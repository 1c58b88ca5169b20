// Foreign keys become edges, kept up to date by events of SurrealDB, and are queried as a graph.
import { createNodeEngines } from '@surrealdb/node'
import { MemoryCheckpointStore, PostgresTriggerSource, SurrealSink, SyncEngine } from 'surreal-sync'
import { Surreal } from 'surrealdb'

const { DATABASE_URL = '' } = process.env
const db = new Surreal({ engines: createNodeEngines() })
await db.connect('mem://', { namespace: 'app', database: 'app' })

// An order that appears, changes or goes takes its edge with it. The edge has the order's own id, so there is one at most.
await db.query(`
  DEFINE TABLE users SCHEMALESS;
  DEFINE TABLE orders SCHEMALESS;
  DEFINE TABLE placed TYPE RELATION IN users OUT orders;
  DEFINE EVENT edge ON TABLE orders THEN {
    LET $edge = type::record('placed', record::id($value.id));
    DELETE $edge;
    IF $event != 'DELETE' {
      INSERT RELATION INTO placed { id: $edge, in: type::record('users', $after.user_id), out: $after.id }
    }
  };
`)

const run = () =>
  new SyncEngine({
    id: 'graph',
    source: new PostgresTriggerSource({ url: DATABASE_URL, tables: ['users', 'orders'] }),
    sink: new SurrealSink({ connect: async () => db, disconnect: async () => undefined }),
    checkpoints: new MemoryCheckpointStore(),
  }).run()
await run()

const [totals] = await db.query<[{ name: string; totals: unknown[] }[]]>(
  'SELECT name, ->placed->orders.total AS totals FROM users ORDER BY name',
)
for (const { name, totals: all } of totals) console.log(name, all.map(String).sort().join(' '))
await db.close()
