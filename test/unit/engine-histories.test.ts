/**
 * Random histories with faults: whatever happens, in the end the target equals the source. fast-check prints the seed
 * and the smallest history on failure; set SEED and RUNS to repeat or extend.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Row } from '../../src/core/batch.js'
import { SyncError } from '../../src/core/errors.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import {
  Duplicate,
  defineTable,
  FailAfterWrite,
  type Fault,
  type FaultScript,
  type FaultyOperation,
  faulty,
  type MemoryChange,
  MemorySink,
  MemorySource,
  Reject,
  RespondSlowly,
} from '../../src/testing/index.js'

const users = defineTable('public.users', { id: 'integer', version: 'integer' }, ['id'])
const places = defineTable('public.places', { land: 'text', town: 'text', version: 'integer' }, ['land', 'town'])
const tables = [users, places]

const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost')
const fatal = new SyncError('E_TARGET', 'The target refuses')

const version = fc.nat({ max: 1_000 })
const rowOf: { readonly [table: string]: fc.Arbitrary<Row> } = {
  [users.label]: fc.record({ id: fc.nat({ max: 8 }), version }),
  [places.label]: fc.record({ land: fc.constantFrom('a', 'b'), town: fc.constantFrom('x', 'y', 'z'), version }),
}

const change: fc.Arbitrary<MemoryChange> = fc.constantFrom(users.label, places.label).chain((table) => {
  const rows = fc.array(rowOf[table] ?? fc.constant({}), { maxLength: 5 })
  return fc.oneof(
    { weight: 8, arbitrary: fc.record({ op: fc.constant('upsert' as const), table: fc.constant(table), rows }) },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('delete' as const), table: fc.constant(table), rows }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate' as const), table: fc.constant(table) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('replace' as const), table: fc.constant(table), rows }) },
  )
})
const commit = fc.array(change, { minLength: 1, maxLength: 3 })

const faultKinds = ['none', 'reject', 'lose', 'slow', 'twice', 'crash'] as const
const fault = fc.oneof(
  { weight: 24, arbitrary: fc.constant('none' as const) },
  { weight: 5, arbitrary: fc.constantFrom('reject' as const, 'lose' as const) },
  { weight: 4, arbitrary: fc.constantFrom('slow' as const, 'twice' as const) },
  { weight: 1, arbitrary: fc.constant('crash' as const) },
)

const round = fc.record({
  before: fc.array(commit, { maxLength: 4 }),
  /** One at each batch. */
  during: fc.array(commit, { maxLength: 6, size: 'max' }),
  /** One at each call. */
  faults: fc.array(fault, { maxLength: 80, size: 'max' }),
  again: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  /** The batch at which the run is asked to stop. */
  stopAt: fc.option(fc.nat({ max: 20 }), { freq: 4 }),
})

const setting = fc.record({
  inFlight: fc.integer({ min: 1, max: 4 }),
  rowsMax: fc.integer({ min: 1, max: 4 }),
  chunks: fc.integer({ min: 1, max: 4 }),
  commitsMax: fc.integer({ min: 1, max: 4 }),
  absent: fc.boolean(),
  reads: fc.constantFrom('rows' as const, 'cursor' as const),
  transactional: fc.boolean(),
  transformed: fc.boolean(),
})

function faultOf(kind: (typeof faultKinds)[number] | undefined): Fault | undefined {
  if (kind === undefined || kind === 'none') return undefined
  if (kind === 'reject') return new Reject(lost)
  if (kind === 'lose') return new FailAfterWrite(lost)
  if (kind === 'slow') return new RespondSlowly(() => turn())
  return kind === 'twice' ? new Duplicate() : new Reject(fatal)
}

/** What happens once, before a run has begun. A run that cannot even begin fails at once. */
const beginnings: ReadonlySet<FaultyOperation> = new Set(['open', 'load', 'tables', 'check', 'probe'])

/** Duplicates only what may be sent twice: writes and saves. */
function scriptOf(kinds: readonly (typeof faultKinds)[number][]): FaultScript {
  let call = -1
  return (operation) => {
    call += 1
    const kind = kinds[call]
    if (kind === 'twice' && operation !== 'write' && operation !== 'save') return undefined
    if (beginnings.has(operation) && (kind === 'reject' || kind === 'lose')) return undefined
    return faultOf(kind)
  }
}

/** Removes some rows and changes the others, always the same ones in the same way. */
const transform = (rows: readonly Row[]) =>
  rows.map((row) => (Number(row.version) % 5 === 0 ? null : { ...row, parity: Number(row.version) % 2 }))

const numberFrom = (name: string) => (process.env[name] === undefined ? undefined : Number(process.env[name]))

it('I1, I2, I3, I6, I7, I9: the target ends equal to the source after any history with faults', async () => {
  let [runs, failures, retries] = [0, 0, 0]
  await fc.assert(
    fc.asyncProperty(setting, fc.array(round, { minLength: 1, maxLength: 4 }), async (options, rounds) => {
      const source = new MemorySource({ tables, ...options })
      const sink = new MemorySink(options)
      const store = options.transactional ? sink : new MemoryCheckpointStore()
      const transforms = options.transformed ? [transform] : []
      const engineOf = (script: FaultScript) => {
        const flaky = faulty(sink, script)
        return new SyncEngine({
          source: faulty(source, script),
          sink: flaky,
          checkpoints: store === sink ? flaky : faulty(store, script),
          inFlight: options.inFlight,
          limits: { rowsMax: options.rowsMax },
          retry: { attemptsMax: 6, delayMs: 0, delayMsMax: 0 },
          transforms,
        })
      }
      for (const { before, during, faults, again, stopAt } of rounds) {
        for (const changes of before) source.commit(...changes)
        const engine = engineOf(scriptOf(faults))
        const stop = new AbortController()
        let batches = 0
        engine.on('batch', () => {
          const changes = during[batches]
          if (changes !== undefined) source.commit(...changes)
          if (batches === stopAt) stop.abort()
          batches += 1
        })
        engine.on('retry', () => {
          retries += 1
        })
        runs += 1
        try {
          const { reason } = await engine.run({ phase: again ? 'full' : undefined, signal: stop.signal })
          if (!stop.signal.aborted) expect(reason).toBe('completed')
        } catch (error) {
          failures += 1
          if (error !== fatal) expect(error).toMatchObject({ code: 'E_RETRY_EXHAUSTED' })
        }
        expect([source.opened, sink.opened]).toEqual([false, false])
      }
      await engineOf({}).run()
      for (const { label } of tables) {
        const rows = source.rows(label)
        const expected = options.transformed ? transform(rows).filter((row) => row !== null) : rows
        expect(sink.rows(label)).toEqual(expected)
      }
    }),
    { numRuns: numberFrom('RUNS') ?? 250, seed: numberFrom('SEED') },
  )
  console.log(`histories: ${runs} runs with faults, ${failures} of them failed, ${retries} retries`)
})
