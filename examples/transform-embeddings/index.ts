// Adds an embedding to every article on its way, and searches by it in SurrealDB.
import { createNodeEngines } from '@surrealdb/node'
import { PostgresTriggerSource, SurrealSink, SyncEngine, type Transform } from 'surreal-sync'
import { Surreal } from 'surrealdb'

const dimensions = 64

/**
 * Stands in for a call to a model, for many texts at once. It counts three-letter parts, so texts with common words are near each
 * other. Like every transform it gives the same result for the same row, in both phases.
 */
async function embed(texts: readonly string[]): Promise<readonly (readonly number[])[]> {
  return texts.map((text) => {
    const vector = new Array<number>(dimensions).fill(0)
    const letters = ` ${text.toLowerCase()} `
    for (let at = 0; at + 3 <= letters.length; at += 1) {
      let hash = 0
      for (const letter of letters.slice(at, at + 3)) hash = (hash * 31 + letter.charCodeAt(0)) % 65_521
      vector[hash % dimensions] = (vector[hash % dimensions] ?? 0) + 1
    }
    const length = Math.hypot(...vector)
    return vector.map((part) => part / length)
  })
}

/** One call for a whole batch. A row that is not published must not exist in the target. */
const withEmbeddings: Transform = async (rows, table) => {
  if (table.name !== 'articles') return rows
  const vectors = await embed(rows.map(({ title, body }) => `${title} ${body}`))
  return rows.map((row, index) => (row.published === true ? { ...row, embedding: vectors[index] ?? null } : null))
}

const { DATABASE_URL = '', QUESTION = 'database replication' } = process.env
const db = new Surreal({ engines: createNodeEngines() })
await db.connect('mem://', { namespace: 'app', database: 'app' })

const source = new PostgresTriggerSource({ url: DATABASE_URL, tables: ['articles'] })
const sink = new SurrealSink({ connect: async () => db, disconnect: async () => undefined })
await new SyncEngine({ source, sink, transforms: [withEmbeddings], id: 'embeddings' }).run({ phase: 'full' })

const [vector] = await embed([QUESTION])
const [found] = await db.query<[{ title: string }[]]>(
  'SELECT title, vector::similarity::cosine(embedding, $vector) AS score FROM articles ORDER BY score DESC LIMIT 2',
  { vector },
)
for (const { title } of found) console.log(title)
await db.close()
