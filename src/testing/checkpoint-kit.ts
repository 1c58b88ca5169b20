/** The conformance kit for checkpoint stores. */
import type { Checkpoint, CheckpointKind, CheckpointStore, Position } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import { demandNoLeaks } from './leak-watch.js'
import { identifyKey } from './stored-rows.js'
import { demand, describeFailure, outcome, Suite, type TestRunner, within } from './suite.js'

/** What {@link testCheckpointStore} gets for each of its tests: a place of its own in which nothing is stored. */
export interface CheckpointStoreSubject {
  /**
   * A store over this place. Called more than once, as after a restart of the program, also while others are in use. A
   * store that lives as long as the process returns the same object each time.
   */
  store(): CheckpointStore | Promise<CheckpointStore>
  /** Cuts what is stored for this pipeline in half, as a torn write would. Left out where no write can be torn. */
  tear?(syncId: string): Promise<void>
  /** Removes the place. Called after each test. */
  close?(): Promise<void>
}

/** What {@link testCheckpointStore} needs to know of a store. */
export interface CheckpointStoreKitOptions {
  /** Makes a place for one test, shared with nobody. */
  readonly create: () => CheckpointStoreSubject | Promise<CheckpointStoreSubject>
  /** Stands in the title of the suite. @defaultValue `checkpoint store` */
  readonly name?: string
}

/**
 * Checks that a checkpoint store keeps the invariants that the engine relies on: C1 to C6, and L2. A failure begins with the
 * invariant that is broken and says how.
 *
 * @example
 * ```ts
 * import { describe, it } from 'node:test'
 * import { testCheckpointStore } from 'surreal-sync/testing'
 *
 * testCheckpointStore({ describe, it }, { create: () => ({ store: () => new MyStore(…) }) })
 * ```
 */
export function testCheckpointStore({ describe, it }: TestRunner, options: CheckpointStoreKitOptions): void {
  const { name = 'checkpoint store', create } = options
  describe(`${name} keeps the invariants of a checkpoint store`, () => {
    const suite = new Suite(it, create)
    contentTests(suite)
    durabilityTests(suite)
    concurrencyTests(suite)
  })
}

function contentTests(suite: Suite<CheckpointStoreSubject>): void {
  suite.test('C1', 'load() returns what was saved last, and exactly that', async (subject) => {
    await using(subject, async (store) => {
      await demandLoad('C1', 'before anything was saved', store, 'kit', undefined)
      // A new full sync supersedes what was there.
      const kinds: readonly CheckpointKind[] = ['full_sync_start', 'full_progress', 'full_sync_end', 'incremental']
      let sequence = 0
      for (const kind of [...kinds, 'incremental', ...kinds] as const) {
        sequence += 1
        const checkpoint = checkpointAt(sequence, kind)
        await save('C1', store, 'kit', checkpoint)
        await demandLoad('C1', `after a checkpoint ${kind} was saved`, store, 'kit', checkpoint)
      }
    })
  })

  suite.test('C1', 'every value of a checkpoint comes back as it was', async (subject) => {
    await using(subject, async (store) => {
      const checkpoint: Checkpoint = {
        ...checkpointAt(1, 'full_progress'),
        position: 'kit:1 "\\ \n ünï 🙂' as Position,
        resumeAfter: '{"sequence":0}' as Position,
        described: { text: 'a "b" \\ \u0001 🙂', big: 9_007_199_254_740_993n, list: [1, -0.5, null, true, { a: [] }] },
        completed: Array.from({ length: 2_000 }, (_, index) => `public.users/${index}-${index + 1}`),
      }
      await save('C1', store, 'kit', checkpoint)
      await demandLoad('C1', 'after a large checkpoint was saved', store, 'kit', checkpoint)
      await save('C1', store, 'kit', checkpointAt(2, 'full_sync_end'))
      await demandLoad('C1', 'after one without chunks', store, 'kit', checkpointAt(2, 'full_sync_end'))
    })
  })

  suite.test('C1', 'what a caller does with a checkpoint later is not saved', async (subject) => {
    await using(subject, async (store) => {
      const completed = ['a']
      await save('C1', store, 'kit', { ...checkpointAt(1, 'full_progress'), completed })
      completed.push('b')
      const expected = { ...checkpointAt(1, 'full_progress'), completed: ['a'] }
      await demandLoad('C1', 'after the list that was given had grown', store, 'kit', expected)
    })
  })

  suite.test('C2', 'pipelines do not see each other', async (subject) => {
    const ids = ['kit', 'kit_', 'kit-2', '__proto__', '0', 'constructor', 'K'.repeat(64)]
    await using(subject, async (store) => {
      for (const [index, id] of ids.entries()) {
        await demandLoad('C2', 'before this pipeline saved anything', store, id, undefined)
        await save('C2', store, id, checkpointAt(index + 1))
      }
      for (const [index, id] of ids.entries()) {
        await demandLoad('C2', 'after others saved theirs', store, id, checkpointAt(index + 1))
      }
    })
  })

  suite.test('C6', 'probe() finds nothing wrong here, and changes nothing', async (subject) => {
    await using(subject, async (store) => {
      await within('C6', 'probe()', Promise.resolve(store.probe?.('kit')))
      await demandLoad('C6', 'after probe()', store, 'kit', undefined)
      await save('C6', store, 'kit', checkpointAt(1))
      await within('C6', 'probe()', Promise.resolve(store.probe?.('kit')))
      await demandLoad('C6', 'after a second probe()', store, 'kit', checkpointAt(1))
    })
  })
}

function durabilityTests(suite: Suite<CheckpointStoreSubject>): void {
  suite.test('C3', 'a save that resolved is seen by a store that is made later', async (subject) => {
    await using(subject, async (store) => {
      for (let sequence = 1; sequence <= 3; sequence += 1) {
        await save('C3', store, 'kit', checkpointAt(sequence))
        await using(subject, (later) =>
          demandLoad('C3', 'by a second store, after save() had resolved', later, 'kit', checkpointAt(sequence)),
        )
      }
    })
    await using(subject, async (later) => {
      await demandLoad('C3', 'after the first store was closed', later, 'kit', checkpointAt(3))
      await save('C3', later, 'kit', checkpointAt(4))
    })
    await using(subject, (later) => demandLoad('C3', 'by a third store', later, 'kit', checkpointAt(4)))
  })

  suite.test('C4', 'a save that failed leaves the last checkpoint intact', async (subject) => {
    await using(subject, async (store) => {
      await save('C4', store, 'kit', checkpointAt(1))
      const unreadable = new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('This checkpoint cannot be read')
          },
        },
      )
      const broken = await within(
        'C4',
        'save()',
        outcome(store.save('kit', { ...checkpointAt(2), described: unreadable })),
      )
      if (broken.failed) await demandLoad('C4', 'after a save had failed', store, 'kit', checkpointAt(1))
      await save('C4', store, 'kit', checkpointAt(3))
      await demandLoad('C4', 'after the save that followed a failed one', store, 'kit', checkpointAt(3))
    })
  })

  suite.test('C4', 'what was torn is refused with E_CHECKPOINT_CORRUPT', async (subject) => {
    if (subject.tear === undefined) return
    await using(subject, (store) => save('C4', store, 'kit', checkpointAt(1)))
    await subject.tear('kit')
    await using(subject, async (store) => {
      const load = await within('C4', 'load()', outcome(store.load('kit')))
      demand('C4', load.failed, 'load() returned something though what was stored is torn')
      const refused = load.error instanceof SyncError && load.error.code === 'E_CHECKPOINT_CORRUPT'
      demand('C4', refused, `load() of a torn checkpoint threw ${describeFailure(load.error)}`)
    })
  })

  suite.test('L2', 'close() may come without use and again, and ends what was begun', async (subject) => {
    const store = await subject.store()
    await store.close?.()
    await save('L2', store, 'kit', checkpointAt(1))
    await store.close?.()
    await store.close?.()
    await demandLoad('L2', 'after close()', store, 'kit', checkpointAt(1))
    await store.close?.()
    await demandNoLeaks(async () => using(subject, (other) => save('L2', other, 'kit', checkpointAt(2))))
  })
}

function concurrencyTests(suite: Suite<CheckpointStoreSubject>): void {
  suite.test('C5', 'of saves that overlap, the one called last remains', async (subject) => {
    await using(subject, async (store) => {
      const saves = Array.from({ length: 8 }, (_, index) => save('C5', store, 'kit', checkpointAt(index + 1)))
      const others = Array.from({ length: 4 }, (_, index) =>
        save('C5', store, `other${index}`, checkpointAt(index + 1)),
      )
      await Promise.all([...saves, ...others])
      await demandLoad('C5', 'after eight saves at once', store, 'kit', checkpointAt(8))
      for (let index = 0; index < 4; index += 1) {
        await demandLoad('C5', 'after saves of several pipelines', store, `other${index}`, checkpointAt(index + 1))
      }
    })
  })

  suite.test('C5', 'of saves by two stores at once, one remains, and whole', async (subject) => {
    await using(subject, (first) =>
      using(subject, async (second) => {
        const candidates = Array.from({ length: 6 }, (_, index) => checkpointAt(index + 1))
        const saves = candidates.map((candidate, index) =>
          save('C5', index % 2 === 0 ? first : second, 'kit', candidate),
        )
        await Promise.all(saves)
        const found = await within('C5', 'load()', first.load('kit'))
        const known = candidates
          .slice(-2)
          .some((candidate) => found !== undefined && textOf(found) === textOf(candidate))
        demand('C5', known, 'load() returned something that is none of the checkpoints saved last')
      }),
    )
  })
}

async function using<T>(subject: CheckpointStoreSubject, work: (store: CheckpointStore) => Promise<T>): Promise<T> {
  const store = await subject.store()
  try {
    return await work(store)
  } finally {
    await within('L2', 'close()', Promise.resolve(store.close?.()))
  }
}

type StoreInvariant = 'C1' | 'C2' | 'C3' | 'C4' | 'C5' | 'C6' | 'L2'

async function save(
  invariant: StoreInvariant,
  store: CheckpointStore,
  id: string,
  checkpoint: Checkpoint,
): Promise<void> {
  await within(invariant, 'save()', store.save(id, checkpoint))
}

async function demandLoad(
  invariant: StoreInvariant,
  when: string,
  store: CheckpointStore,
  id: string,
  expected: Checkpoint | undefined,
): Promise<void> {
  const found = await within(invariant, 'load()', store.load(id))
  if (expected === undefined) {
    demand(invariant, found === undefined, `${when}, load() returned a checkpoint instead of undefined`)
    return
  }
  demand(invariant, found !== undefined, `${when}, load() returned undefined`)
  const differing = Object.keys({ ...found, ...expected }).filter(
    (name) => textOf(Reflect.get(found, name)) !== textOf(Reflect.get(expected, name)),
  )
  demand(invariant, differing.length === 0, `${when}, load() returned other content in ${differing.join(', ')}`)
}

/** Equal for equal content, however the names in it are ordered. */
function textOf(value: unknown): string {
  return value === undefined ? 'absent' : identifyKey([value as Parameters<typeof identifyKey>[0][number]])
}

function checkpointAt(sequence: number, kind: CheckpointKind = 'incremental'): Checkpoint {
  const position = `kit:${sequence}` as Position
  const timestamp = new Date(Date.UTC(2024, 0, 1, 0, 0, sequence)).toISOString()
  const checkpoint = { kind, position, resumeAfter: position, described: { Kit: { sequence } }, timestamp }
  return kind === 'full_progress' ? { ...checkpoint, completed: ['a', 'b'] } : checkpoint
}
