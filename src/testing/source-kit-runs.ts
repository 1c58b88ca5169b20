/** The part of the source kit about runs that end early: broken off, resumed, stopped, closed. */
import { demandNoLeaks } from './leak-watch.js'
import { MemorySink } from './memory-sink.js'
import { filled, type SourceSubject, user, userRange } from './source-model.js'
import { limits, SourceSession } from './source-session.js'
import { demand, describeFailure, outcome, type Suite, within } from './suite.js'

export function resumeTests(suite: Suite<SourceSubject>): void {
  suite.test('I1', 'a delta that was abandoned comes again, to another source', async (subject) => {
    const model = await filled(subject)
    const mirror = new MemorySink()
    const position = await SourceSession.use(subject, (session) => session.full(true), mirror)
    await model.upsertUsers(...userRange(900, 930))
    await model.deleteUsers(1, 2)
    await SourceSession.use(subject, async (session) => {
      for await (const delta of session.source.changes({ ...reading(session), after: position })) {
        for await (const _ of delta.batches) break
        break
      }
    })
    await SourceSession.use(
      subject,
      async (session) => {
        const reached = await session.drain(position)
        session.expect('I1', 'after a delta had been abandoned and read again', model)
        await session.source.acknowledge?.(reached)
        await model.upsertUsers(user(1_000))
        await session.drain(reached)
        session.expect('I1', 'after a position had been acknowledged', model)
      },
      mirror,
    )
  })

  suite.test('I7', 'a full sync that broke off is begun again by another source', async (subject) => {
    const model = await filled(subject)
    const idsOf = async (session: SourceSession, abandon: boolean) => {
      const snapshot = await session.openSnapshot(true)
      const lists = await Promise.all(session.tables.map((table) => snapshot.chunks(table, {})))
      const [chunk] = lists.flat()
      if (abandon && chunk !== undefined) for await (const _ of snapshot.read(chunk, { limits })) break
      await snapshot[Symbol.asyncDispose]()
      return lists.flat().map(({ id }) => id)
    }
    const before = await SourceSession.use(subject, (session) => idsOf(session, true))
    await SourceSession.use(subject, async (session) => {
      const after = await idsOf(session, false)
      demand(
        'I7',
        before.join('\n') === after.join('\n'),
        'the chunks of an unchanged table have other ids in a later run',
      )
      const position = await session.full(true)
      await model.deleteUsers(5)
      await session.drain(position)
      session.expect('I7', 'after the second full sync', model)
    })
  })

  suite.test('I1', 'changes end at `until`, and not before', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      const position = await session.full(true)
      await model.upsertUsers(user(1_100))
      const until = await within('I1', 'position()', session.source.position({}))
      await model.upsertUsers(user(1_101))
      await session.drain(position, until)
      demand('I1', has(session, 1_100), 'a change before `until` did not arrive')
    })
  })
}

export function stopTests(suite: Suite<SourceSubject>): void {
  suite.test('L1', 'whoever waits for changes gets them, and stops when asked to', async (subject) => {
    const model = await filled(subject)
    await SourceSession.use(subject, async (session) => {
      const after = await session.drain(await session.full(true))
      const [stop, reason] = [new AbortController(), new Error('stop')]
      const options = { ...reading(session), after, follow: true, signal: stop.signal }
      const deltas = session.source.changes(options)[Symbol.asyncIterator]()
      let pulled = deltas.next()
      await model.upsertUsers(user(1_200))
      while (!has(session, 1_200)) {
        const step = await within('I1', 'the delta with a change that was waited for', pulled)
        demand('I1', step.done !== true, 'changes() ended though it was told to follow')
        await session.apply(step.value)
        pulled = deltas.next()
      }
      stop.abort(reason)
      for (;;) {
        const step = await within('L1', 'changes() after an abort', outcome(pulled))
        if (step.failed)
          demand('L1', step.error === reason, `changes() threw ${describeFailure(step.error)}, not the reason`)
        if (step.failed || step.value.done === true) break
        const applied = await outcome(session.apply(step.value.value))
        if (applied.failed) break
        pulled = deltas.next()
      }
      const late = await outcome(session.source.position({ signal: stop.signal }))
      if (late.failed) demand('L1', late.error === reason, 'position() with an aborted signal did not throw its reason')
    })
  })

  suite.test('L2', 'close() may come without open() and again, and ends whatever open() began', async (subject) => {
    const model = await filled(subject)
    const session = await SourceSession.unopened(subject)
    await session.close()
    await session.open()
    await session.close()
    await session.close()
    await demandNoLeaks(() =>
      SourceSession.use(subject, async (used) => {
        const after = await used.full(true)
        await model.upsertUsers(...userRange(1, 30))
        for await (const delta of used.source.changes({ ...reading(used), after })) {
          for await (const _ of delta.batches) break
          break
        }
      }),
    )
  })
}

function reading({ tables }: SourceSession): { tables: SourceSession['tables']; follow: false; limits: typeof limits } {
  return { tables, follow: false, limits }
}

function has(session: SourceSession, id: number): boolean {
  return session.mirror.rows(session.table('users').label).some((row) => Number(row.id) === id)
}
