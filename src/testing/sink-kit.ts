/** The conformance kit for sinks. */
import { truncate, upserts } from '../core/batch.js'
import { SyncError } from '../core/errors.js'
import { demandNoLeaks } from './leak-watch.js'
import { LentBatch, replaceWith } from './lent-batch.js'
import { demandRows } from './row-comparison.js'
import { commitTests } from './sink-kit-commits.js'
import {
  demandGivenBack,
  keysOnly,
  order,
  orders,
  SinkSession,
  type SinkSubject,
  tables,
  user,
  userRange,
  users,
} from './sink-session.js'
import { demand, describeFailure, outcome, Suite, type TestRunner, within } from './suite.js'

/** What {@link testSink} needs to know of a sink. */
export interface SinkKitOptions {
  /** Makes a target for one test: empty, and shared with nobody. */
  readonly create: () => SinkSubject | Promise<SinkSubject>
  /** Stands in the title of the suite. @defaultValue `sink` */
  readonly name?: string
  /** Whether the sink has `commit`, and applies a delta and its checkpoint together (I10). @defaultValue false */
  readonly transactional?: boolean
}

/** More than a sink may ask about at once when a table is replaced. */
const absentMax = 1_000

/**
 * Checks that a sink keeps the invariants that the engine relies on: I3 to I6, I10 for one that commits, L1 to L3. A failure
 * begins with the invariant that is broken and says how.
 *
 * The target gets two tables: `kit.users` (`id` integer, `name` text, `active` boolean; key `id`) and `kit.orders` (`tenant`
 * text, `number` integer, `note` text; key `tenant, number`).
 *
 * @example
 * ```ts
 * import { describe, it } from 'vitest' // or jest, mocha, node:test
 * import { testSink } from 'surreal-sync/testing'
 *
 * testSink({ describe, it }, { name: 'MySink', create: () => ({ sink: () => new MySink(…), rows: async (table) => […] }) })
 * ```
 */
export function testSink({ describe, it }: TestRunner, options: SinkKitOptions): void {
  const { name = 'sink', create, transactional = false } = options
  describe(`${name} keeps the invariants of a sink`, () => {
    const suite = new Suite(it, create)
    writeTests(suite)
    barrierTests(suite)
    runTests(suite)
    suite.test('I10', `commit() is ${transactional ? '' : 'not '}there`, async (subject) => {
      const { sink } = await SinkSession.unopened(subject)
      demand('I10', (sink.commit !== undefined) === transactional, 'the option transactional of the kit says otherwise')
    })
    if (transactional) commitTests(suite)
  })
}

function writeTests(suite: Suite<SinkSubject>): void {
  suite.test('I4', 'a write that resolved is in the target, with exactly that content', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.upsert(users, [user(1), user(2, null), user(3, 'Ünïcödé "quoted" \\ 🙂\n')])
      await session.upsert(orders, [order('a', 1), order('a', 2, ''), order('b', 1, 'note')])
      const seen = 'right after write() had resolved'
      await session.expect('I4', seen, users, [user(1), user(2, null), user(3, 'Ünïcödé "quoted" \\ 🙂\n')])
      await session.expect('I4', seen, orders, [order('a', 1), order('a', 2, ''), order('b', 1, 'note')])
      await session.upsert(users, [{ ...user(1), name: null }, user(4)])
      const rows = [{ ...user(1), name: null }, user(2, null), user(3, 'Ünïcödé "quoted" \\ 🙂\n'), user(4)]
      await session.expect('I4', 'after one row had been written again with a null', users, rows)
    })
    const later = await SinkSession.unopened(subject)
    await later.expect('I4', 'after the sink had been closed', orders, [
      order('a', 1),
      order('a', 2, ''),
      order('b', 1, 'note'),
    ])
  })

  suite.test('I4', 'a batch that comes again changes nothing', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.upsert(users, userRange(1, 9))
      await session.upsert(users, userRange(1, 9))
      await session.expect('I4', 'after a batch of upserts came twice', users, userRange(1, 9))
      await session.delete(users, userRange(4, 6))
      await session.delete(users, [...userRange(4, 6), user(77)])
      const left = [...userRange(1, 3), ...userRange(7, 9)]
      await session.expect('I4', 'after a batch of deletes came twice', users, left)
      await session.upsert(users, userRange(4, 6))
      await session.expect('I4', 'after deleted rows were written again', users, userRange(1, 9))
    })
  })

  suite.test('I4', 'an empty batch is no failure', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.upsert(users, [])
      await session.delete(users, [])
      await session.expect('I4', 'after empty batches', users, [])
    })
  })

  suite.test('I3', 'writes take effect in the order in which they resolved', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      for (let turn = 1; turn <= 5; turn += 1) await session.upsert(users, userRange(1, 3, `turn ${turn}`))
      await session.expect('I3', 'after the same rows were written five times', users, userRange(1, 3, 'turn 5'))
      await session.delete(users, [user(2)])
      await session.upsert(users, [user(2, 'back')])
      await session.delete(users, [user(3)])
      await session.expect('I3', 'after rows went and came', users, [user(1, 'turn 5'), user(2, 'back')])
    })
  })

  suite.test('I3', 'writes without a common key may be open at once', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.upsert(users, userRange(100, 109))
      const count = session.sink.inFlight ?? 2
      const upserts = Array.from({ length: count - 1 }, (_, index) => index)
      const writes = upserts.map((index) =>
        index % 2 === 0
          ? session.upsert(users, userRange(10 * index, 10 * index + 9))
          : session.upsert(orders, [order('tenant', index)]),
      )
      await Promise.all([...writes, session.delete(users, userRange(100, 109))])
      const even = upserts.filter((index) => index % 2 === 0)
      const rows = even.flatMap((index) => userRange(10 * index, 10 * index + 9))
      await session.expect('I3', `after ${count} writes at once`, users, rows)
    })
  })

  suite.test('I5', 'a batch is not changed, and not read after its write', async (subject) => {
    const lent: (LentBatch | undefined)[] = []
    await SinkSession.use(subject, 'full', async (session) => {
      lent.push(await session.upsert(users, userRange(1, 20)))
      await new Promise((resolve) => setImmediate(resolve))
      lent.push(await session.delete(users, userRange(5, 6)))
    })
    await new Promise((resolve) => setImmediate(resolve))
    demandGivenBack(lent)
    demandRows('I5', 'after close()', users, [...userRange(1, 4), ...userRange(7, 20)], await subject.rows(users))
  })
}

function barrierTests(suite: Suite<SinkSubject>): void {
  suite.test('I6', 'truncate empties its table, and no other', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.upsert(users, userRange(1, 5))
      await session.upsert(orders, [order('a', 1)])
      await session.write(truncate(users))
      await session.expect('I6', 'after truncate', users, [])
      await session.expect('I6', 'after the other table was truncated', orders, [order('a', 1)])
      await session.upsert(users, [user(2)])
      await session.expect('I6', 'after truncate and an upsert', users, [user(2)])
    })
  })

  suite.test('I6', 'replace removes the rows that the source does not have, and leaves the others', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      const count = absentMax + 100
      await session.replace(users, userRange(1, count))
      await session.upsert(orders, [order('a', 1)])
      const kept = userRange(51, count)
      const batch = replaceWith(users, kept)
      await session.write(batch)
      const asked = Math.max(0, ...batch.asked)
      demand('I6', asked <= absentMax, `absent() was asked about ${asked} keys at once, more than ${absentMax}`)
      // A sink that cannot list its keys has removed everything by now, and may.
      const listed = batch.asked.length > 0
      await session.expect('I6', 'after replace, before the rows came', users, listed ? kept : [])
      await session.upsert(users, userRange(51, count, 'new'))
      await session.expect('I6', 'after replace and all rows', users, userRange(51, count, 'new'))
      await session.expect('I6', 'after the other table was replaced', orders, [order('a', 1)])
    })
  })

  suite.test('I6', 'a barrier that comes again changes nothing', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.upsert(orders, [order('a', 1), order('b', 2)])
      for (let turn = 0; turn < 2; turn += 1) await session.write(replaceWith(orders, [order('b', 2)]))
      await session.upsert(orders, [order('b', 2)])
      await session.expect('I6', 'after replace came twice', orders, [order('b', 2)])
      for (let turn = 0; turn < 2; turn += 1) await session.write(truncate(orders))
      await session.expect('I6', 'after truncate came twice', orders, [])
    })
  })
}

function runTests(suite: Suite<SinkSubject>): void {
  suite.test('I4', 'a full sync that broke off is begun again by another sink', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.write(replaceWith(users, userRange(1, 30)))
      await session.upsert(users, userRange(1, 15, 'before'))
    })
    await SinkSession.use(subject, 'full', (session) => session.replace(users, userRange(11, 30, 'after')))
    const rows = userRange(11, 30, 'after')
    demandRows('I4', 'after the second full sync', users, rows, await subject.rows(users))
  })

  suite.test('I4', 'changes that were applied before a restart are applied again', async (subject) => {
    await SinkSession.use(subject, 'full', async (session) => {
      await session.replace(users, userRange(1, 10))
      await session.replace(orders, [order('a', 1)])
    })
    await SinkSession.use(subject, 'incremental', async (session) => {
      await session.delete(users, [user(1), user(2)])
      await session.upsert(users, [user(3, 'once'), user(11)])
    })
    await SinkSession.use(subject, 'incremental', async (session) => {
      await session.delete(users, [user(1), user(11)])
      await session.upsert(users, [user(2, 'back'), user(3, 'twice')])
    })
    const rows = [user(2, 'back'), user(3, 'twice'), ...userRange(4, 10)]
    demandRows('I4', 'after the changes were applied again', users, rows, await subject.rows(users))
    demandRows('I4', 'after a restart', orders, [order('a', 1)], await subject.rows(orders))
  })

  suite.test('L1', 'a write that is asked to stop settles, and says the truth', async (subject) => {
    const reason = new Error('stop')
    const applied: number[] = []
    for (const [id, abortEarly] of [
      [1, true],
      [2, false],
    ] as const) {
      await SinkSession.use(subject, 'full', async ({ sink }) => {
        const stop = new AbortController()
        if (abortEarly) stop.abort(reason)
        const batch = new LentBatch(upserts(users, [user(id)]))
        const write = outcome(sink.write(batch, { signal: stop.signal }))
        stop.abort(reason)
        const result = await within('L1', 'write() with an aborted signal', write)
        if (!result.failed) applied.push(id)
        else demand('L1', result.error === reason, `write() threw ${describeFailure(result.error)}, not the reason`)
      })
    }
    const rows = await subject.rows(users)
    const there = new Set(rows.map(({ id }) => Number(id)))
    for (const id of applied) demand('L1', there.has(id), 'write() resolved after an abort, and its row is not there')
    await SinkSession.use(subject, 'full', (session) => session.upsert(users, [user(1), user(2)]))
    demandRows('L1', 'after a new run', users, [user(1), user(2)], await subject.rows(users))
  })

  suite.test('L2', 'close() may come without open() and again, and never throws', async (subject) => {
    const session = await SinkSession.unopened(subject)
    await session.close()
    await session.open()
    await session.prepare('full')
    await session.upsert(users, [user(1)])
    await session.close()
    await session.close()
    await session.open()
    await session.prepare('full')
    await session.write(keysOnly(users, [user(9)]))
    await session.expect('L2', 'after the sink was opened again', users, [user(1)])
    await session.close()
  })

  suite.test('L2', 'close() ends whatever open() began', async (subject) => {
    await subject.rows(users)
    await demandNoLeaks(() =>
      SinkSession.use(subject, 'full', async (session) => {
        await session.upsert(users, [user(1)])
      }),
    )
  })

  suite.test('L3', 'check() changes nothing, and what is of others is refused', async (subject) => {
    if (subject.plant === undefined) return
    await subject.plant(users, [user(7)])
    const session = await SinkSession.unopened(subject)
    try {
      await session.open()
      const check = await outcome(Promise.resolve(session.sink.check?.(tables, { phase: 'full' })))
      await session.expect('L3', 'after check()', users, [user(7)])
      const prepare = check.failed
        ? check
        : await outcome(Promise.resolve(session.sink.prepare?.(tables, { phase: 'full' })))
      const refused =
        prepare.failed && prepare.error instanceof SyncError && prepare.error.code === 'E_TARGET_NOT_EMPTY'
      demand('L3', refused, 'neither check() nor prepare() refused a table with rows of others with E_TARGET_NOT_EMPTY')
      await session.expect('L3', 'after the table was refused', users, [user(7)])
    } finally {
      await session.close()
    }
  })
}
