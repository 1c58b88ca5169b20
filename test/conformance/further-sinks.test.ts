/** NdjsonSink and FanOutSink keep the invariants, and do what they say besides. */
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { truncate, upserts } from '../../src/core/batch.js'
import { SyncError } from '../../src/core/errors.js'
import { Decimal } from '../../src/core/value.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { FanOutSink, MemoryCheckpointStore, NdjsonSink } from '../../src/index.js'
import {
  defineTable,
  FailAfterWrite,
  faulty,
  MemorySink,
  MemorySource,
  Reject,
  testSink,
} from '../../src/testing/index.js'
import { ndjsonRows } from './ndjson-rows.js'

async function folder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'surreal-sync-'))
}

testSink(
  { describe, it },
  {
    name: 'NdjsonSink',
    create: async () => {
      const directory = await folder()
      const file = join(directory, 'changes.ndjson')
      return {
        sink: () => new NdjsonSink({ file }),
        rows: (table) => ndjsonRows(file, table),
        close: () => rm(directory, { recursive: true }),
      }
    },
  },
)

for (const [transactional, read] of [
  [false, 0],
  [false, 1],
  [true, 0],
  [true, 1],
] as const) {
  testSink(
    { describe, it },
    {
      name: `FanOutSink (first transactional: ${transactional}), as its sink ${read + 1} sees it`,
      transactional,
      create: () => {
        const sinks = [new MemorySink({ transactional }), new MemorySink({ inFlight: 3 })] as const
        return { sink: () => new FanOutSink(sinks), rows: async ({ label }) => sinks[read].rows(label) }
      },
    },
  )
}

describe('NdjsonSink', () => {
  let directory: string
  let file: string
  beforeEach(async () => {
    directory = await folder()
    file = join(directory, 'changes.ndjson')
  })
  afterEach(() => rm(directory, { recursive: true }))

  const table = defineTable(
    'public.things',
    {
      id: 'integer',
      price: 'decimal',
      ratio: 'float',
      photo: 'bytes',
      document: 'json',
      list: { kind: 'array', element: { kind: 'integer' } },
    },
    ['id'],
  )

  it('writes the table once, one line an operation, and every digit of a value', async () => {
    const sink = new NdjsonSink({ file })
    const row = {
      id: 9_007_199_254_740_993n,
      price: '1.10',
      ratio: -0,
      photo: new Uint8Array([0, 255]),
      document: { a: new Decimal('1e400'), b: [12_345_678_901_234_567_890n] },
      list: [1, null],
    }
    await sink.write(upserts(table, [row, { ...row, id: 2, ratio: Number.NaN, document: null }]), {})
    await sink.write(truncate(table), {})
    await sink.close()
    expect((await readFile(file, 'utf8')).split('\n')).toEqual([
      expect.stringMatching(
        /^{"op":"table","table":"public.things","columns":\[{"name":"id","type":{"kind":"integer"},"sourceType":"integer"},.*\],"key":\["id"\]}$/,
      ),
      '{"op":"upsert","table":"public.things","row":{"id":9007199254740993,"price":"1.10","ratio":-0,"photo":"AP8=","document":{"a":1e400,"b":[12345678901234567890]},"list":[1,null]}}',
      '{"op":"upsert","table":"public.things","row":{"id":2,"price":"1.10","ratio":"NaN","photo":"AP8=","document":null,"list":[1,null]}}',
      '{"op":"truncate","table":"public.things"}',
      '',
    ])
    expect((await stat(file)).mode & 0o077).toBe(0)
  })

  it('removes a line that a crash tore', async () => {
    const first = new NdjsonSink({ file })
    await first.write(upserts(table, [{ id: 1 }]), {})
    await first.close()
    const whole = await readFile(file, 'utf8')
    await appendFile(file, '{"op":"upsert","tab')
    const second = new NdjsonSink({ file })
    await second.check()
    await second.write(truncate(table), {})
    await second.close()
    const text = await readFile(file, 'utf8')
    expect(text.startsWith(whole)).toBe(true)
    for (const line of text.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
  })

  it('writes to a stream', async () => {
    const parts: string[] = []
    const sink = new NdjsonSink({
      stream: {
        write(text, done) {
          parts.push(text)
          done()
        },
      },
    })
    await sink.write(truncate(table), {})
    expect(parts.join('')).toMatch(/"op":"table".*\n.*"op":"truncate".*\n$/)
    const broken = new NdjsonSink({ stream: { write: (_, done) => done(new Error('closed')) } })
    await expect(broken.write(truncate(table), {})).rejects.toMatchObject({ code: 'E_TARGET' })
  })

  it('refuses what it could not write to before anything is written', async () => {
    await expect(new NdjsonSink({ file: directory }).check()).rejects.toMatchObject({ code: 'E_CONFIG' })
    await expect(new NdjsonSink({ file: join(directory, 'no', 'file') }).check()).rejects.toMatchObject({
      code: 'E_CONFIG',
    })
    await expect(
      new NdjsonSink({ file: join(directory, 'no', 'file') }).write(truncate(table), {}),
    ).rejects.toMatchObject({ code: 'E_CONFIG' })
    expect(() => new NdjsonSink({ file: '' })).toThrow(SyncError)
  })
})

describe('FanOutSink', () => {
  const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
  const lost = new SyncError('E_CONNECTION_LOST', 'The answer did not come')
  const refused = new SyncError('E_TARGET', 'The target refuses')
  const retry = { attemptsMax: 3, delayMs: 0, delayMsMax: 0 }

  it.each([false, true])(
    'brings all to the content of the source through failures (transactional: %s)',
    async (transactional) => {
      const source = new MemorySource({ tables: [users] })
      source.upsert(users.label, { id: 1, name: 'Ada' }, { id: 2, name: 'Bob' })
      const sinks = [new MemorySink({ transactional }), new MemorySink()] as const
      const failing = faulty(sinks[1], {
        write: [new FailAfterWrite(lost), undefined, new Reject(lost), new Reject(lost)],
      })
      const checkpoints = transactional ? undefined : new MemoryCheckpointStore()
      const engine = new SyncEngine({ source, sink: new FanOutSink([sinks[0], failing]), checkpoints, retry })
      engine.once('caughtUp', () => undefined)
      await engine.run()
      source.delete(users.label, { id: 1 })
      source.upsert(users.label, { id: 3, name: 'Cyd' })
      await engine.run()
      for (const sink of sinks) expect(sink.rows(users.label)).toEqual(source.rows(users.label))
    },
  )

  it('saves no checkpoint before all have what is before it', async () => {
    const source = new MemorySource({ tables: [users] })
    source.upsert(users.label, { id: 1, name: 'Ada' })
    const first = new MemorySink({ transactional: true })
    const second = new MemorySink()
    await new SyncEngine({ source, sink: new FanOutSink([first, second]) }).run()
    const before = await first.load('default')
    source.upsert(users.label, { id: 2, name: 'Bob' })
    const refusing = faulty(second, () => new Reject(refused))
    const writeRefused = faulty(second, (operation) => (operation === 'write' ? new Reject(refused) : undefined))
    await expect(new SyncEngine({ source, sink: new FanOutSink([first, writeRefused]) }).run()).rejects.toBe(refused)
    expect(await first.load('default')).toEqual(before)
    await expect(new SyncEngine({ source, sink: new FanOutSink([first, refusing]) }).run()).rejects.toBe(refused)
    await new SyncEngine({ source, sink: new FanOutSink([first, second]) }).run()
    for (const sink of [first, second]) expect(sink.rows(users.label)).toEqual(source.rows(users.label))
  })

  it('has the smallest limits, and no store where the first sink is none', () => {
    const small = new MemorySink({ inFlight: 2, limits: { rowsMax: 10 } })
    const sink = new FanOutSink([new MemorySink({ inFlight: 8, limits: { rowsMax: 50, bytesMax: 1_000 } }), small])
    expect(sink).toMatchObject({ inFlight: 2, limits: { rowsMax: 10, bytesMax: 1_000 } })
    expect('commit' in sink || 'load' in sink || 'save' in sink).toBe(false)
    expect(() => new FanOutSink([small, small])).toThrow('each only once')
  })
})
