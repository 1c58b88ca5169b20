/** The part of the sink kit for sinks that commit a delta and its checkpoint together (I10). */
import { type Batch, truncate, upserts } from '../core/batch.js'
import type { Checkpoint, CheckpointStore, Position } from '../core/checkpoint.js'
import type { Delta } from '../core/delta.js'
import type { Sink } from '../core/sink.js'
import { trickle } from './lent-batch.js'
import {
  keysOnly,
  order,
  orders,
  pipelineId,
  SinkSession,
  type SinkSubject,
  user,
  userRange,
  users,
} from './sink-session.js'
import { demand, outcome, type Suite, within } from './suite.js'

export function commitTests(suite: Suite<SinkSubject>): void {
  suite.test('I10', 'a delta and its checkpoint take effect together', async (subject) => {
    await SinkSession.use(subject, 'full', (session) => session.replace(users, userRange(1, 5)))
    await SinkSession.use(subject, 'incremental', async (session) => {
      await commit(session, 1, [keysOnly(users, [user(1)]), upserts(users, [user(2, 'new'), user(6)])])
      await session.expect('I10', 'after commit()', users, [user(2, 'new'), ...userRange(3, 6)])
      await demandCheckpoint(session, 1)
      await commit(session, 2, [])
      await demandCheckpoint(session, 2)
    })
    await SinkSession.use(subject, 'incremental', (session) => demandCheckpoint(session, 2))
  })

  suite.test(
    'I10',
    'a delta that breaks off leaves its checkpoint unsaved, and is done when it comes again',
    async (subject) => {
      await SinkSession.use(subject, 'full', (session) => session.replace(users, userRange(1, 5)))
      await SinkSession.use(subject, 'incremental', async (session) => {
        await commit(session, 1, [upserts(users, [user(6)])])
        const batches = [keysOnly(users, [user(1)]), upserts(users, [user(7)])]
        const failure = new Error('the source is gone')
        const broken = await outcome(commit(session, 2, batches, failure))
        demand('I10', broken.failed, 'commit() resolved though the delta broke off')
        await demandCheckpoint(session, 1)
      })
      await SinkSession.use(subject, 'incremental', async (session) => {
        await demandCheckpoint(session, 1)
        await commit(session, 2, [keysOnly(users, [user(1)]), upserts(users, [user(7, 'later')])])
        await session.expect('I10', 'after the delta came again', users, [...userRange(2, 6), user(7, 'later')])
        await demandCheckpoint(session, 2)
      })
    },
  )

  suite.test('I10', 'a delta that is sent twice takes effect once', async (subject) => {
    await SinkSession.use(subject, 'full', (session) => session.replace(orders, [order('a', 1)]))
    await SinkSession.use(subject, 'incremental', async (session) => {
      const batches = [truncate(orders), upserts(orders, [order('b', 1)])]
      for (let turn = 0; turn < 2; turn += 1) await commit(session, 3, batches)
      await session.expect('I10', 'after the same delta came twice', orders, [order('b', 1)])
      await demandCheckpoint(session, 3)
    })
  })

  suite.test('I10', 'the checkpoint is asked for only after the batches have ended', async (subject) => {
    await SinkSession.use(subject, 'full', (session) => session.replace(users, []))
    await SinkSession.use(subject, 'incremental', (session) => commit(session, 1, [upserts(users, userRange(1, 3))]))
  })
}

async function commit(
  session: SinkSession,
  sequence: number,
  batches: readonly Batch[],
  failure?: Error,
): Promise<void> {
  let ended = false
  async function* pulled(): AsyncGenerator<Batch> {
    yield* trickle(batches)
    if (failure !== undefined) throw failure
    ended = true
  }
  const atEnd = <T>(value: T): T => {
    demand('I10', ended, 'the sink asked what the delta leads to before its batches had ended')
    return value
  }
  const delta: Delta = {
    batches: pulled(),
    get position() {
      return atEnd(positionAt(sequence))
    },
    get drained() {
      return atEnd(true)
    },
    get committedAtMs() {
      return atEnd(undefined)
    },
  }
  const done = session.sink.commit?.(delta, () => atEnd(checkpointAt(sequence)), {})
  await within('I10', 'commit()', Promise.resolve(done))
}

async function demandCheckpoint({ sink }: SinkSession, sequence: number): Promise<void> {
  demand('I10', isStore(sink), 'a sink that commits checkpoints has no load() and save()')
  const checkpoint = await within('I10', 'load()', sink.load(pipelineId))
  const found = checkpoint?.position ?? 'nothing'
  demand('I10', found === positionAt(sequence), `load() returned ${found} instead of ${positionAt(sequence)}`)
}

function isStore(sink: Sink): sink is Sink & CheckpointStore {
  return 'load' in sink && 'save' in sink
}

function checkpointAt(sequence: number): Checkpoint {
  const position = positionAt(sequence)
  const timestamp = new Date(Date.UTC(2024, 0, 1, 0, 0, sequence)).toISOString()
  return { kind: 'incremental', position, resumeAfter: position, described: { Kit: { sequence } }, timestamp }
}

function positionAt(sequence: number): Position {
  return `kit:${sequence}` as Position
}
