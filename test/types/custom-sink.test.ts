/** A sink of one's own is ten lines. The compiler checks that they are enough, and a run that they work. */
import { type Batch, type Row, type Sink, SyncEngine, type Transform, type Value } from 'surreal-sync'
import { defineTable, faulty, MemorySource } from 'surreal-sync/testing'
import { expect, expectTypeOf, it } from 'vitest'

class MapSink implements Sink {
  readonly name = 'map'
  readonly rows = new Map<Value, Row>()

  async write(batch: Batch): Promise<void> {
    if (batch.op === 'truncate' || batch.op === 'replace') return this.rows.clear()
    for (const row of batch.rows()) {
      if (batch.op === 'upsert') this.rows.set(row.id ?? null, row)
      else this.rows.delete(row.id ?? null)
    }
  }
}

const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])

it('a class with a name and a write method is a sink', async () => {
  const source = new MemorySource({ tables: [users] })
  const sink = new MapSink()
  source.upsert(users.label, { id: 1, name: 'Ada' }, { id: 2, name: 'Bob' })
  const engine = new SyncEngine({ source, sink })
  engine.once('batch', () => source.upsert(users.label, { id: 3, name: 'Cyd' }))
  engine.once('checkpoint', () => source.delete(users.label, { id: 1 }))
  await engine.run()
  expect([...sink.rows.values()]).toEqual(source.rows(users.label))
})

it('so is an object literal', () => {
  expectTypeOf({ name: 'nowhere', write: async () => {} }).toExtend<Sink>()
})

it('the operation decides what a batch has', () => {
  const read = (batch: Batch) => {
    if (batch.op === 'upsert' || batch.op === 'delete') {
      expectTypeOf(batch.rows()).toEqualTypeOf<Iterable<Row>>()
      expectTypeOf(batch.length).toEqualTypeOf<number>()
    } else if (batch.op === 'replace') {
      expectTypeOf(batch.absent).returns.resolves.toEqualTypeOf<readonly boolean[]>()
    } else {
      expectTypeOf(batch.op).toEqualTypeOf<'truncate'>()
    }
    // @ts-expect-error a barrier has no rows
    return batch.rows
  }
  expectTypeOf(read).parameter(0).toEqualTypeOf<Batch>()
})

it('a sink must write, and a transform must return a result for each row', () => {
  // @ts-expect-error write is missing
  const mute: Sink = { name: 'mute' }
  expectTypeOf(mute).toEqualTypeOf<Sink>()
  const dropping: Transform = (rows) => rows.map((row) => (row.id === 1 ? null : row))
  expectTypeOf(dropping).toEqualTypeOf<Transform>()
  // @ts-expect-error a list, not one row
  const single: Transform = (rows) => rows[0] ?? null
  expectTypeOf(single).toEqualTypeOf<Transform>()
})

it('a faulty sink is a sink', () => {
  expectTypeOf(faulty(new MapSink(), {})).toEqualTypeOf<Sink>()
})
