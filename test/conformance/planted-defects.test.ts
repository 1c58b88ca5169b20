/** Tests of the kits: each of these sources, sinks and stores has one defect, which its kit must find and name rightly. */
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Batch, Row, RowBatch } from '../../src/core/batch.js'
import type { Checkpoint, CheckpointStore, Position } from '../../src/core/checkpoint.js'
import type { Delta } from '../../src/core/delta.js'
import type { Sink } from '../../src/core/sink.js'
import type { ChangeOptions, Snapshot, SnapshotOptions, Source } from '../../src/core/source.js'
import {
  type Invariant,
  MemorySink,
  type MemorySource,
  testCheckpointStore,
  testSink,
  testSource,
} from '../../src/testing/index.js'
import { memorySubject } from './memory-subject.js'
import { type Findings, runKit } from './run-kit.js'

/** What is wrong, the invariant that must be named, and the thing itself. */
type Defect<Broken> = readonly [what: string, invariant: Invariant, broken: (sound: MemorySink) => Broken]

// ── Sinks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A sound sink but for these methods. */
function sinkWith(sound: MemorySink, methods: Partial<Sink>): Sink {
  return {
    name: 'broken',
    inFlight: 4,
    open: (context) => sound.open(context),
    check: (tables, options) => sound.check(tables, options),
    prepare: (tables, options) => sound.prepare(tables, options),
    write: (batch, options) => sound.write(batch, options),
    close: () => sound.close(),
    ...methods,
  }
}

const isRows = (batch: Batch): batch is RowBatch => batch.op === 'upsert' || batch.op === 'delete'

const sinks: readonly Defect<Sink>[] = [
  [
    'it reports a write as done before it is',
    'I4',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          setTimeout(() => sound.write(batch, options).catch(() => undefined), 20)
        },
      }),
  ],
  [
    'it refuses a batch that comes again',
    'I4',
    (sound) => {
      const seen = new Set<string>()
      return sinkWith(sound, {
        async write(batch, options) {
          const text = isRows(batch) ? `${batch.op} ${JSON.stringify([...batch.rows()])}` : ''
          if (seen.has(text)) throw new Error('duplicate key')
          if (isRows(batch) && batch.op === 'upsert' && batch.length > 0) seen.add(text)
          await sound.write(batch, options)
        },
      })
    },
  ],
  [
    'it keeps old values where new ones are null',
    'I4',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          if (!isRows(batch) || batch.op === 'delete') return sound.write(batch, options)
          const old = new Map(sound.rows(batch.table.label).map((row) => [String(row.id), row]))
          const merge = (row: Row): Row => {
            const before = old.get(String(row.id))
            if (before === undefined) return row
            return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? before[name] ?? null]))
          }
          const merged = [...batch.rows()].map(merge)
          await sound.write(changed(batch, merged), options)
        },
      }),
  ],
  [
    'it holds deletes back until it is closed',
    'I3',
    (sound) => {
      const held: RowBatch[] = []
      return sinkWith(sound, {
        async write(batch, options) {
          if (isRows(batch) && batch.op === 'delete') held.push(changed(batch, [...batch.rows()]))
          else await sound.write(batch, options)
        },
        async close() {
          for (const batch of held.splice(0)) await sound.write(batch, {})
          await sound.close()
        },
      })
    },
  ],
  [
    'it reads a batch after its write has settled',
    'I5',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          await sound.write(batch, options)
          if (isRows(batch)) {
            setImmediate(() => {
              try {
                Array.from(batch.rows())
              } catch {
                // The batch refuses, as it must.
              }
            })
          }
        },
      }),
  ],
  [
    'it changes the rows that it is lent',
    'I5',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          if (isRows(batch)) for (const row of batch.rows()) Object.assign(row, { seen: true })
          await sound.write(batch, options)
        },
      }),
  ],
  [
    'its truncate empties every table',
    'I6',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          await sound.write(batch, options)
          if (batch.op !== 'truncate') return
          const [users] = sound.rows('kit.users')
          const others = users === undefined ? 'kit.orders' : 'kit.users'
          const table = { ...batch.table, label: others, name: others.slice(4) }
          await sound.write({ op: 'truncate', table }, options)
        },
      }),
  ],
  [
    'its replace removes nothing',
    'I6',
    (sound) =>
      sinkWith(sound, {
        write: async (batch, options) => (batch.op === 'replace' ? undefined : sound.write(batch, options)),
      }),
  ],
  [
    'its replace asks about all keys at once',
    'I6',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          if (batch.op === 'replace') await batch.absent(sound.rows(batch.table.label).map((row) => [row.id ?? null]))
          await sound.write(batch, options)
        },
      }),
  ],
  [
    'it claims to have written what it was asked to stop',
    'L1',
    (sound) =>
      sinkWith(sound, {
        async write(batch, options) {
          if (options.signal?.aborted !== true) await sound.write(batch, options)
        },
      }),
  ],
  [
    'it throws when it is closed twice',
    'L2',
    (sound) => {
      let closed = false
      return sinkWith(sound, {
        async close() {
          if (closed) throw new Error('already closed')
          closed = true
          await sound.close()
        },
      })
    },
  ],
  [
    'it leaves a socket open',
    'L2',
    (sound) =>
      sinkWith(sound, {
        async open(context) {
          const server = createServer()
          leaked.push(server)
          await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
          await sound.open(context)
        },
      }),
  ],
  [
    'it takes over a table with rows of others',
    'L3',
    (sound) =>
      sinkWith(sound, {
        check: async () => undefined,
        async prepare(tables, { signal }) {
          await sound.prepare(tables, { phase: 'incremental', signal })
        },
      }),
  ],
]

const leaked: ReturnType<typeof createServer>[] = []

function changed(batch: RowBatch, rows: readonly Row[]): RowBatch {
  return {
    ...batch,
    op: batch.op,
    table: batch.table,
    columns: batch.columns,
    length: rows.length,
    rows: () => rows,
    cursor: () => batch.cursor(),
  }
}

const committing: readonly Defect<Sink>[] = [
  [
    'it saves the checkpoint of a delta that breaks off',
    'I10',
    (sound) => {
      let last: Checkpoint | undefined
      const commit = async (delta: Delta, checkpoint: () => Checkpoint) => {
        try {
          for await (const batch of delta.batches) await sound.write(batch, {})
          last = checkpoint()
        } catch (error) {
          const position = 'kit:2' as Position
          last = { kind: 'incremental', position, resumeAfter: position, described: null, timestamp: '' }
          throw error
        }
      }
      return Object.assign(sinkWith(sound, { commit }), { load: async () => last, save: async () => undefined })
    },
  ],
  [
    'it asks for the checkpoint first',
    'I10',
    (sound) => {
      let last: Checkpoint | undefined
      const commit = async (delta: Delta, checkpoint: () => Checkpoint) => {
        last = checkpoint()
        for await (const batch of delta.batches) await sound.write(batch, {})
      }
      return Object.assign(sinkWith(sound, { commit }), { load: async () => last, save: async () => undefined })
    },
  ],
]

describe('the kit for sinks', () => {
  const run = (broken: (sound: MemorySink) => Sink, transactional: boolean): Promise<Findings> =>
    runKit((runner) =>
      testSink(runner, {
        transactional,
        create: () => {
          const sound = new MemorySink({ inFlight: 4 })
          const sink = broken(sound)
          return {
            sink: () => sink,
            rows: async ({ label }) => sound.rows(label),
            plant: async (table, rows) => sound.plant(table, ...rows),
          }
        },
      }),
    )

  it.each(sinks)('finds that %s (%s)', async (_what, invariant, broken) => {
    const { invariants, messages } = await run(broken, false)
    expect(invariants, messages.join('\n')).toContain(invariant)
    for (const server of leaked.splice(0)) server.close()
  })

  it.each(committing)('finds that %s (%s)', async (_what, invariant, broken) => {
    const { invariants, messages } = await run(broken, true)
    expect(invariants, messages.join('\n')).toContain(invariant)
  })

  it('finds nothing in a sound one', async () => {
    expect((await run((sound) => sinkWith(sound, {}), false)).messages).toEqual([])
  })
})

// ── Sources ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A sound source but for these methods. */
function sourceWith(sound: MemorySource, methods: Partial<Source>): Source {
  return {
    name: 'broken',
    open: (context) => sound.open(context),
    tables: (options) => sound.tables(options),
    check: (tables, options) => sound.check(tables, options),
    position: (options) => sound.position(options),
    parse: (text) => sound.parse(text),
    describe: (position) => sound.describe(position),
    compare: (a, b) => sound.compare(a, b),
    openSnapshot: (options) => sound.openSnapshot(options),
    changes: (options) => sound.changes(options),
    acknowledge: (position) => sound.acknowledge(position),
    close: () => sound.close(),
    ...methods,
  }
}

/** Deltas whose batches pass through a function. */
async function* withBatches(
  deltas: AsyncIterable<Delta>,
  change: (batches: AsyncIterable<Batch>) => AsyncIterable<Batch>,
): AsyncGenerator<Delta> {
  for await (const delta of deltas) {
    yield {
      batches: change(delta.batches),
      get position() {
        return delta.position
      },
      get drained() {
        return delta.drained
      },
    }
  }
}

function snapshotWith(snapshot: Snapshot, methods: Partial<Snapshot>): Snapshot {
  return {
    position: snapshot.position,
    chunks: (table, options) => snapshot.chunks(table, options),
    read: (chunk, options) => snapshot.read(chunk, options),
    absent: (table, keys, options) => snapshot.absent?.(table, keys, options) ?? Promise.resolve(keys.map(() => false)),
    [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
    ...methods,
  }
}

/** What outlives one source. */
const consumed = new WeakMap<MemorySource, Position>()
let chunkNames = 0

type SourceDefect = readonly [what: string, invariant: Invariant, broken: (sound: MemorySource) => Source]

const sources: readonly SourceDefect[] = [
  [
    'it loses the deletes',
    'I1',
    (sound) =>
      sourceWith(sound, {
        changes: (options: ChangeOptions) =>
          withBatches(sound.changes(options), async function* (batches) {
            for await (const batch of batches) if (batch.op !== 'delete') yield batch
          }),
      }),
  ],
  [
    'it forgets the changes that a reader abandoned',
    'I1',
    (sound) =>
      sourceWith(sound, {
        async *changes(options) {
          const passed = consumed.get(sound) ?? options.after
          const after = sound.compare(passed, options.after) > 0 ? passed : options.after
          consumed.set(sound, await sound.position({}))
          yield* sound.changes({ ...options, after })
        },
      }),
  ],
  [
    'it gives a key twice in one delta',
    'I3',
    (sound) =>
      sourceWith(sound, {
        changes: (options) =>
          withBatches(sound.changes(options), async function* (batches) {
            for await (const batch of batches) {
              yield batch
              if (batch.op === 'upsert') yield batch
            }
          }),
      }),
  ],
  [
    'it goes on with rows after which a barrier comes',
    'I6',
    (sound) =>
      sourceWith(sound, {
        changes: (options) =>
          withBatches(sound.changes(options), async function* (batches) {
            const all: Batch[] = []
            for await (const batch of batches) all.push(batch)
            yield* all.filter(isRows)
            yield* all.filter((batch) => !isRows(batch))
          }),
      }),
  ],
  [
    'its batches can be read once only',
    'I5',
    (sound) =>
      sourceWith(sound, {
        changes: (options) =>
          withBatches(sound.changes(options), async function* (batches) {
            for await (const batch of batches) {
              if (!isRows(batch)) yield batch
              else {
                const once = batch.rows()[Symbol.iterator]()
                yield { ...changed(batch, []), length: batch.length, rows: () => ({ [Symbol.iterator]: () => once }) }
              }
            }
          }),
      }),
  ],
  [
    'it reuses the memory of a batch for the next one',
    'I5',
    (sound) =>
      sourceWith(sound, {
        changes: (options) =>
          withBatches(sound.changes(options), async function* (batches) {
            let rows: readonly Row[] = []
            for await (const batch of batches) {
              if (!isRows(batch)) {
                yield batch
                continue
              }
              rows = [...batch.rows()]
              yield { ...changed(batch, []), length: batch.length, rows: () => rows }
            }
          }),
      }),
  ],
  [
    'its snapshot says a position that is too late',
    'I7',
    (sound) =>
      sourceWith(sound, {
        async openSnapshot(options: SnapshotOptions) {
          const snapshot = await sound.openSnapshot(options)
          return snapshotWith(snapshot, {
            get position() {
              return `memory:${Number(snapshot.position.slice(7)) + 2}` as Position
            },
          })
        },
      }),
  ],
  [
    'its snapshot without capture shows several moments',
    'I7',
    (sound) => sourceWith(sound, { openSnapshot: (options) => sound.openSnapshot({ ...options, captured: true }) }),
  ],
  [
    'its chunks have other names each time',
    'I7',
    (sound) => {
      chunkNames += 1
      const run = chunkNames
      return sourceWith(sound, {
        async openSnapshot(options) {
          const snapshot = await sound.openSnapshot(options)
          return snapshotWith(snapshot, {
            chunks: async (table, abortable) =>
              (await snapshot.chunks(table, abortable)).map((chunk) => ({ ...chunk, id: `${run} ${chunk.id}` })),
            read: (chunk, reading) =>
              snapshot.read({ ...chunk, id: chunk.id.slice(chunk.id.indexOf(' ') + 1) }, reading),
          })
        },
      })
    },
  ],
  [
    'it yields nothing where nothing changed',
    'I8',
    (sound) =>
      sourceWith(sound, {
        async *changes(options) {
          const now = await sound.position({})
          if (options.follow || sound.compare(now, options.after) > 0) yield* sound.changes(options)
        },
      }),
  ],
  [
    'it does not read its own public positions',
    'I2',
    (sound) => sourceWith(sound, { parse: () => sound.parse('memory:0') }),
  ],
  [
    'it says something else than why it was asked to stop',
    'L1',
    (sound) =>
      sourceWith(sound, {
        async *changes(options) {
          try {
            yield* sound.changes(options)
          } catch {
            throw new Error('The operation was aborted')
          }
        },
      }),
  ],
  [
    'it throws when it is closed without having been opened',
    'L2',
    (sound) =>
      sourceWith(sound, {
        async close() {
          if (!sound.opened) throw new Error('not open')
          await sound.close()
        },
      }),
  ],
]

describe('the kit for sources', () => {
  it.each(sources)('finds that %s (%s)', async (_what, invariant, broken) => {
    const { invariants, messages } = await runKit((runner) =>
      testSource(runner, { create: () => memorySubject({}, broken) }),
    )
    expect(invariants, messages.join('\n')).toContain(invariant)
  })

  it('finds nothing in a sound one', async () => {
    const create = () => memorySubject({}, (sound) => sourceWith(sound, {}))
    expect((await runKit((runner) => testSource(runner, { create }))).messages).toEqual([])
  })
})

// ── Stores ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Text by pipeline, as a database would keep it. */
type Place = Map<string, string>

const plainStore = (place: Place): CheckpointStore => ({
  load: async (id) => parse(place.get(id)),
  async save(id, checkpoint) {
    place.set(id, stringify(checkpoint))
  },
})

const stringify = (checkpoint: Checkpoint): string =>
  JSON.stringify(checkpoint, (_, value: unknown) => (typeof value === 'bigint' ? { big: String(value) } : value))

function parse(text: string | undefined): Checkpoint | undefined {
  if (text === undefined) return undefined
  return JSON.parse(text, (_, value: unknown) => {
    const big: unknown = Reflect.get(Object(value), 'big')
    return typeof big === 'string' ? BigInt(big) : value
  }) as Checkpoint
}

type StoreDefect = readonly [what: string, invariant: Invariant, broken: (place: Place) => CheckpointStore]

const stores: readonly StoreDefect[] = [
  [
    'it keeps one checkpoint for all pipelines',
    'C2',
    (place) => {
      const sound = plainStore(place)
      return { load: () => sound.load('all'), save: (_, checkpoint) => sound.save('all', checkpoint) }
    },
  ],
  [
    'it keeps the first of each kind',
    'C1',
    (place) => {
      const sound = plainStore(place)
      return {
        load: (id) => sound.load(id),
        async save(id, checkpoint) {
          const before = await sound.load(id)
          if (before?.kind !== checkpoint.kind) await sound.save(id, checkpoint)
        },
      }
    },
  ],
  [
    'it loses large integers',
    'C1',
    (place) => ({
      ...plainStore(place),
      async save(id, checkpoint) {
        place.set(
          id,
          JSON.stringify(checkpoint, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
        )
      },
    }),
  ],
  [
    'it saves what is changed later',
    'C1',
    (place) => {
      const live = new Map<string, Checkpoint>()
      return {
        load: async (id) => live.get(id) ?? parse(place.get(id)),
        async save(id, checkpoint) {
          live.set(id, checkpoint)
          place.set(id, stringify(checkpoint))
        },
      }
    },
  ],
  [
    'it writes later than it says',
    'C3',
    (place) => {
      const own = new Map(place)
      const sound = plainStore(own)
      return {
        load: (id) => sound.load(id),
        async save(id, checkpoint) {
          await sound.save(id, checkpoint)
          setTimeout(() => place.set(id, own.get(id) ?? ''), 30)
        },
      }
    },
  ],
  [
    'it removes the last checkpoint before it writes the next',
    'C4',
    (place) => ({
      ...plainStore(place),
      async save(id, checkpoint) {
        place.delete(id)
        place.set(id, stringify(checkpoint))
      },
    }),
  ],
  [
    'it takes half a checkpoint for none',
    'C4',
    (place) => ({ ...plainStore(place), load: async (id) => attempt(place, id) }),
  ],
  [
    'it lets overlapping saves overtake each other',
    'C5',
    (place) => {
      const sound = plainStore(place)
      let saves = 0
      return {
        load: (id) => sound.load(id),
        async save(id, checkpoint) {
          saves += 1
          const delay = 20 - saves
          await new Promise((resolve) => setTimeout(resolve, Math.max(0, delay)))
          await sound.save(id, checkpoint)
        },
      }
    },
  ],
  [
    'its probe leaves something behind',
    'C6',
    (place) => ({ ...plainStore(place), probe: async (id) => void place.set(id, '{"kind":"incremental"}') }),
  ],
  [
    'it cannot be used after close()',
    'L2',
    (place) => {
      let closed = false
      const sound = plainStore(place)
      return {
        async load(id) {
          if (closed) throw new Error('closed')
          return sound.load(id)
        },
        save: (id, checkpoint) => sound.save(id, checkpoint),
        async close() {
          closed = true
        },
      }
    },
  ],
]

function attempt(place: Place, id: string): Checkpoint | undefined {
  try {
    return parse(place.get(id))
  } catch {
    return undefined
  }
}

describe('the kit for checkpoint stores', () => {
  const run = (broken: (place: Place) => CheckpointStore): Promise<Findings> =>
    runKit((runner) =>
      testCheckpointStore(runner, {
        create: () => {
          const place: Place = new Map()
          return {
            store: () => broken(place),
            async tear(id) {
              const text = place.get(id) ?? ''
              place.set(id, text.slice(0, text.length / 2))
            },
          }
        },
      }),
    )

  it.each(stores)('finds that %s (%s)', async (_what, invariant, broken) => {
    const { invariants, messages } = await run(broken)
    expect(invariants, messages.join('\n')).toContain(invariant)
  })

  it('finds nothing in a sound one, and only the torn text in one without a checksum', async () => {
    const store = new MemoryCheckpointStore()
    const sound = await runKit((runner) => testCheckpointStore(runner, { create: () => ({ store: () => store }) }))
    // One place for all tests, so that the first of them finds what the last one left.
    expect(sound.passed).toBeGreaterThan(0)
    expect((await run(plainStore)).messages).toEqual([
      expect.stringMatching(/^C4: load\(\) of a torn checkpoint threw/),
    ])
  })
})

it('at least a dozen defects are planted', () => {
  expect(sinks.length + committing.length + sources.length + stores.length).toBeGreaterThanOrEqual(12)
})
