/** What listeners get, as the compiler sees it. `npm run types` is the test; at run time nothing happens here. */
import {
  type CheckpointKind,
  type Phase,
  type Position,
  type RunResult,
  SyncEngine,
  type SyncErrorCode,
  type SyncWarning,
  type Table,
  type TableProgress,
} from 'surreal-sync'
import { MemorySink, MemorySource } from 'surreal-sync/testing'
import { expectTypeOf, it } from 'vitest'

const engine = new SyncEngine({ source: new MemorySource({ tables: [] }), sink: new MemorySink() })

it('every event has a payload of its own', () => {
  engine.on('phase', (event) => {
    expectTypeOf(event).toEqualTypeOf<{ readonly phase: Phase; readonly tables: readonly Table[] }>()
  })
  engine.on('start', (event) => {
    expectTypeOf(event).toEqualTypeOf<{ readonly id: string }>()
  })
  engine.on('end', ({ reason, code, durationMs }) => {
    expectTypeOf(reason).toEqualTypeOf<'completed' | 'aborted' | 'failed'>()
    expectTypeOf(code).toEqualTypeOf<SyncErrorCode | undefined>()
    expectTypeOf(durationMs).toEqualTypeOf<number>()
  })
  engine.on('applying', (event) => {
    expectTypeOf(event).toEqualTypeOf<{ readonly at: number }>()
  })
  engine.on('delta', ({ batches, rows, drained, durationMs, lagMs }) => {
    expectTypeOf([batches, rows, durationMs]).toEqualTypeOf<number[]>()
    expectTypeOf(drained).toEqualTypeOf<boolean>()
    expectTypeOf(lagMs).toEqualTypeOf<number | undefined>()
  })
  engine.on('table', (event) => {
    expectTypeOf(event).toEqualTypeOf<TableProgress>()
  })
  engine.on('batch', ({ phase, table, op, rows, bytes }) => {
    expectTypeOf(phase).toEqualTypeOf<Phase>()
    expectTypeOf(table).toEqualTypeOf<Table>()
    expectTypeOf(op).toEqualTypeOf<string>()
    expectTypeOf(rows).toEqualTypeOf<number>()
    expectTypeOf(bytes).toEqualTypeOf<number | undefined>()
  })
  engine.on('checkpoint', ({ kind, position, text, lagMs }) => {
    expectTypeOf(kind).toEqualTypeOf<CheckpointKind>()
    expectTypeOf(position).toEqualTypeOf<Position>()
    expectTypeOf(text).toEqualTypeOf<string>()
    expectTypeOf(lagMs).toEqualTypeOf<number | undefined>()
  })
  engine.on('resumed', ({ position, text, chunks }) => {
    expectTypeOf(position).toEqualTypeOf<Position>()
    expectTypeOf(text).toEqualTypeOf<string>()
    expectTypeOf(chunks).toEqualTypeOf<{ readonly done: number; readonly total: number }>()
  })
  engine.once('caughtUp', (event) => {
    expectTypeOf(event).toEqualTypeOf<{ readonly position: Position; readonly text: string }>()
  })
  engine.addListener('retry', ({ code, message, attempt, delayMs }) => {
    expectTypeOf(code).toEqualTypeOf<SyncErrorCode>()
    expectTypeOf(message).toEqualTypeOf<string>()
    expectTypeOf([attempt, delayMs]).toEqualTypeOf<number[]>()
  })
  engine.on('warning', (event) => {
    expectTypeOf(event).toEqualTypeOf<SyncWarning>()
  })
})

it('payloads cannot be changed, and other events do not exist', () => {
  engine.on('phase', (event) => {
    // @ts-expect-error payloads are read-only
    event.phase = 'full'
    // @ts-expect-error also their lists
    event.tables.pop
  })
  // @ts-expect-error there is no error event: run() rejects
  engine.on('error', () => {})
  // @ts-expect-error the name is caughtUp
  engine.on('caught-up', () => {})
})

it('a position is not just any text', () => {
  // @ts-expect-error only a source makes positions
  const position: Position = 'memory:42'
  expectTypeOf(position).toExtend<string>()
})

it('a result says how the run ended', () => {
  expectTypeOf<ReturnType<typeof engine.run>>().resolves.toEqualTypeOf<RunResult>()
  expectTypeOf<RunResult['reason']>().toEqualTypeOf<'completed' | 'aborted'>()
  expectTypeOf<RunResult['position']>().toEqualTypeOf<string | undefined>()
})
