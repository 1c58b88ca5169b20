/** The conformance kit for sources. */
import { SyncError } from '../core/errors.js'
import { MemorySink } from './memory-sink.js'
import { resumeTests, stopTests } from './source-kit-runs.js'
import { filled, order, type SourceChange, SourceModel, type SourceSubject, user } from './source-model.js'
import { SourceSession } from './source-session.js'
import { demand, outcome, Suite, type TestRunner, within } from './suite.js'

/** What {@link testSource} needs to know of a source. */
export interface SourceKitOptions {
  /** Makes a database for one test, shared with nobody. */
  readonly create: () => SourceSubject | Promise<SourceSubject>
  /** Stands in the title of the suite. @defaultValue `source` */
  readonly name?: string
}

/**
 * Checks that a source keeps the invariants that the engine relies on: I1 to I3, I5 to I8, L1 and L2. A failure begins with
 * the invariant that is broken and says how.
 *
 * The source must offer two tables, whatever their schema: `users` (`id` integer, `name` text; key `id`) and `orders`
 * (`tenant` text, `number` integer, `note` text; key `tenant, number`). The kit fills and changes them by way of the subject.
 *
 * @example
 * ```ts
 * import { describe, it } from 'vitest' // or jest, mocha, node:test
 * import { testSource } from 'surreal-sync/testing'
 *
 * testSource({ describe, it }, { create: () => ({ source: () => new MySource(…), commit: async (changes) => {…} }) })
 * ```
 */
export function testSource({ describe, it }: TestRunner, options: SourceKitOptions): void {
  const { name = 'source', create } = options
  describe(`${name} keeps the invariants of a source`, () => {
    const suite = new Suite(it, create)
    snapshotTests(suite)
    changeTests(suite)
    resumeTests(suite)
    stopTests(suite)
  })
}

function snapshotTests(suite: Suite<SourceSubject>): void {
  suite.test('I7', 'a snapshot and the changes after its position equal the source', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      let id = 1_000
      const after = await session.full(true, async () => {
        id += 1
        await model.upsertUsers(user(id), user(id % 20, `changed ${id}`))
        await model.deleteUsers(id % 10)
      })
      await model.commit({ op: 'upsert', table: 'orders', rows: [order('late', 1)] })
      await session.drain(after)
      session.expect('I7', 'after a full sync during which rows changed', model)
    })
  })

  suite.test('I7', 'a snapshot without capture is of one moment', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      const copy = new SourceModel({ source: () => session.source, commit: async () => undefined })
      for (const table of ['users', 'orders'] as const) {
        await copy.commit({ op: 'upsert', table, rows: model.rows(table) })
      }
      await session.full(false, () => model.upsertUsers(user(1, 'later'), user(99)))
      session.expect('I7', 'after rows changed while a snapshot was read', copy)
    })
  })

  suite.test('I7', 'a snapshot of empty tables removes what is no longer there', async (subject) => {
    const model = await filled(subject)
    const mirror = new MemorySink()
    await SourceSession.use(subject, (session) => session.full(true), mirror)
    await model.commit({ op: 'delete', table: 'users', rows: model.rows('users') }, { op: 'truncate', table: 'orders' })
    await SourceSession.use(
      subject,
      async (session) => {
        await session.full(true)
        session.expect('I7', 'after a second full sync, of tables that are empty by now', model)
      },
      mirror,
    )
  })
}

function changeTests(suite: Suite<SourceSubject>): void {
  suite.test('I1', 'every change arrives', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      let position = await session.full(true)
      const random = randomNumbers(7)
      for (let turn = 0; turn < 12; turn += 1) {
        for (let count = random(4); count >= 0; count -= 1) await model.commit(...randomChanges(random))
        position = await session.drain(position)
        session.expect('I1', `after ${turn + 1} deltas`, model)
      }
    })
  })

  suite.test('I1', 'what commits late is found, and what is rolled back holds nothing up', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      let position = await session.drain(await session.full(true))
      const late = await model.begin({ op: 'upsert', table: 'users', rows: [user(500), user(1, 'late')] })
      const never = await model.begin({ op: 'upsert', table: 'users', rows: [user(600)] })
      if (late === undefined || never === undefined) return
      try {
        await model.upsertUsers(user(501))
        position = await session.drain(position)
        session.expect('I1', 'while two transactions were open', model)
        await model.upsertUsers(user(502))
        position = await session.drain(position)
      } finally {
        await never.rollback()
        await late.commit()
      }
      position = await session.drain(position)
      session.expect('I1', 'after a transaction had committed late', model)
      await model.upsertUsers(user(503))
      await session.drain(position)
      session.expect('I1', 'after a transaction had been rolled back', model)
    })
  })

  suite.test('I3', 'between two positions a key occurs once', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      const position = await session.drain(await session.full(true))
      for (let turn = 0; turn < 5; turn += 1) {
        await model.upsertUsers(user(1, `turn ${turn}`), user(2))
        await model.deleteUsers(2, 3)
        await model.commit(
          { op: 'upsert', table: 'users', rows: [user(3)] },
          { op: 'delete', table: 'users', rows: [user(1)] },
        )
      }
      await session.drain(position)
      session.expect('I3', 'after the same rows had changed many times', model)
    })
  })

  suite.test('I6', 'a truncated table is emptied before its new rows come', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      let position = await session.full(true)
      await model.upsertUsers(user(700))
      await model.commit({ op: 'truncate', table: 'users' }, { op: 'upsert', table: 'users', rows: [user(701)] })
      await model.commit({ op: 'upsert', table: 'orders', rows: [order('z', 9)] })
      position = await session.drain(position)
      session.expect('I6', 'after a truncate', model)
      await model.commit({ op: 'truncate', table: 'orders' })
      await model.upsertUsers(user(702))
      await session.drain(position)
      session.expect('I6', 'after another truncate', model)
    })
  })

  suite.test('I8', 'where nothing changed, one drained delta comes and ends', async (subject) => {
    await SourceSession.use(subject, async (session) => {
      const position = await session.full(true)
      const again = await session.drain(await session.drain(position))
      const now = await within('I8', 'position()', session.source.position({}))
      demand('I8', session.source.compare(again, now) <= 0, 'a delta leads past the position that the source is at')
    })
  })

  suite.test('I2', 'a position in its public form leads to the same place', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      const { source } = session
      const position = await session.drain(await session.full(true))
      const reread = source.parse(source.describe(position).text)
      demand('I2', source.compare(position, reread) === 0, 'parse() does not read what describe() wrote')
      await model.upsertUsers(user(800))
      const later = await session.drain(reread)
      session.expect('I2', 'after reading on from a position in its public form', model)
      demand('I2', source.compare(position, later) < 0, 'compare() does not see that a later position is later')
      demand('I2', source.compare(later, position) > 0, 'compare() does not see that an earlier position is earlier')
      const parsed = await outcome((async () => source.parse('no position at all'))())
      const refused = parsed.failed && parsed.error instanceof SyncError && parsed.error.code === 'E_CONFIG'
      demand('I2', refused, 'parse() does not refuse nonsense with E_CONFIG')
    })
  })
}

/** A linear congruential generator: the same changes in every run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function randomChanges(random: (below: number) => number): readonly SourceChange[] {
  return Array.from({ length: 1 + random(3) }, (): SourceChange => {
    const ids = [...new Set([random(30), random(30), random(30)])]
    if (random(4) === 0) return { op: 'delete', table: 'users', rows: ids.map((id) => ({ id })) }
    if (random(4) === 0) {
      return { op: 'upsert', table: 'orders', rows: [order('abc'.charAt(random(3)), random(5), `note ${random(99)}`)] }
    }
    return { op: 'upsert', table: 'users', rows: ids.map((id) => user(id, `random ${random(999)}`)) }
  })
}
