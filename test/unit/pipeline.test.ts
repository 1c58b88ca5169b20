/** The pipeline alone: order, bounds, barriers, and above all that no failure is lost. */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Batch, deletes, type RowBatch, truncate, upserts } from '../../src/core/batch.js'
import { type DrainOptions, drain } from '../../src/engine/pipeline.js'
import { defineTable } from '../../src/testing/index.js'

const table = defineTable('public.things', { id: 'integer' }, ['id'])

const rows = (id: number): RowBatch => upserts(table, [{ id }])
const replace: Batch = { op: 'replace', table, absent: async (keys) => keys.map(() => false) }

/** `1` for the batch with row 1, else the operation. */
function nameOf(batch: Batch): string {
  return 'length' in batch ? [...batch.rows()].map(({ id }) => String(id)).join('+') : batch.op
}

/** Yields the batches and notes what is asked of it. A function is awaited before the next batch comes. */
async function* source(
  script: readonly (Batch | (() => Promise<unknown>))[],
  log: string[],
): AsyncGenerator<Batch, void, undefined> {
  try {
    for (const step of script) {
      if (typeof step === 'function') {
        await step()
        continue
      }
      log.push(`pull ${nameOf(step)}`)
      yield step
    }
    log.push('end')
  } finally {
    log.push('closed')
  }
}

/** Writes that end when the test says so. */
class Writes {
  readonly log: string[]
  readonly #open = new Map<string, { resolve: () => void; reject: (error: unknown) => void }>()
  readonly #awaited = new Map<string, () => void>()

  constructor(log: string[] = []) {
    this.log = log
  }

  get open(): readonly string[] {
    return [...this.#open.keys()]
  }

  readonly write = (batch: Batch): Promise<void> => {
    const name = nameOf(batch)
    this.log.push(`write ${name}`)
    return new Promise((resolve, reject) => {
      this.#open.set(name, { resolve, reject })
      this.#awaited.get(name)?.()
    })
  }

  async begun(name: string): Promise<void> {
    if (this.#open.has(name)) return
    await new Promise<void>((resolve) => this.#awaited.set(name, resolve))
  }

  finish(name: string): void {
    this.log.push(`done ${name}`)
    this.#take(name).resolve()
  }

  fail(name: string, error: unknown): void {
    this.log.push(`fail ${name}`)
    this.#take(name).reject(error)
  }

  #take(name: string) {
    const open = this.#open.get(name)
    if (open === undefined) throw new TypeError(`The write of ${name} is not open`)
    this.#open.delete(name)
    return open
  }
}

/** What became of a promise so far. */
function watch(promise: Promise<void>): { state: 'open' | 'resolved' | 'rejected' } {
  const watched: { state: 'open' | 'resolved' | 'rejected' } = { state: 'open' }
  promise.then(
    () => {
      watched.state = 'resolved'
    },
    () => {
      watched.state = 'rejected'
    },
  )
  return watched
}

const unhandled: unknown[] = []
const note = (reason: unknown) => unhandled.push(reason)

beforeAll(() => {
  process.on('unhandledRejection', note)
})

afterAll(async () => {
  await turn()
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

describe('a pipeline', () => {
  it('starts writes in the order of the batches', async () => {
    const log: string[] = []
    const write = async (batch: Batch) => {
      log.push(nameOf(batch))
      await turn()
    }
    await drain(source([rows(1), truncate(table), rows(2), rows(3), replace, rows(4), rows(5)], []), {
      inFlight: 3,
      write,
    })
    expect(log).toEqual(['1', 'truncate', '2', '3', 'replace', '4', '5'])
  })

  it('resolves at once when there is nothing to write', async () => {
    await drain(source([], []), { inFlight: 1, write: () => Promise.reject(new Error('must not be called')) })
  })

  it.each([1, 2, 3, 5])('has at most %i writes open, and that many while there is enough to do', async (inFlight) => {
    let [open, openMax] = [0, 0]
    const write = async () => {
      open += 1
      openMax = Math.max(openMax, open)
      await turn()
      open -= 1
    }
    await drain(
      source(
        Array.from({ length: 20 }, (_, index) => rows(index)),
        [],
      ),
      { inFlight, write },
    )
    expect(openMax).toBe(inFlight)
  })

  it('pulls nothing before a write slot is free', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    const result = drain(source([rows(1), rows(2), rows(3)], log), { inFlight: 2, write: writes.write })
    await writes.begun('2')
    await turn()
    expect(log).toEqual(['pull 1', 'write 1', 'pull 2', 'write 2'])
    writes.finish('2')
    await writes.begun('3')
    await turn()
    expect(log.slice(4)).toEqual(['done 2', 'pull 3', 'write 3'])
    writes.finish('1')
    writes.finish('3')
    await result
    expect(log.slice(-2)).toEqual(['end', 'closed'])
  })

  it('starts a batch as soon as any write settles, not the oldest', async () => {
    const writes = new Writes()
    const result = drain(source([rows(1), rows(2), rows(3)], []), { inFlight: 2, write: writes.write })
    await writes.begun('2')
    writes.finish('2')
    await writes.begun('3')
    expect(writes.open).toEqual(['1', '3'])
    writes.finish('3')
    writes.finish('1')
    await result
  })

  it.each([
    ['truncate', truncate(table)],
    ['replace', replace],
  ])('I6: runs %s alone', async (name, barrier) => {
    const log: string[] = []
    const writes = new Writes(log)
    const result = drain(source([rows(1), rows(2), barrier, rows(3)], []), { inFlight: 4, write: writes.write })
    await writes.begun('2')
    await turn()
    expect(writes.open).toEqual(['1', '2'])
    writes.finish('2')
    await turn()
    expect(writes.open).toEqual(['1'])
    writes.finish('1')
    await writes.begun(name)
    await turn()
    expect(writes.open).toEqual([name])
    writes.finish(name)
    await writes.begun('3')
    writes.finish('3')
    await result
    expect(log.slice(-4)).toEqual([`write ${name}`, `done ${name}`, 'write 3', 'done 3'])
  })

  it('does not begin a barrier when a write before it fails', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    const result = drain(source([rows(1), truncate(table), rows(2)], log), { inFlight: 4, write: writes.write })
    await writes.begun('1')
    await turn()
    writes.fail('1', new Error('refused'))
    await expect(result).rejects.toThrow('refused')
    expect(log).toEqual(['pull 1', 'write 1', 'pull truncate', 'fail 1', 'closed'])
  })

  it('reports each batch once, after its write', async () => {
    const log: string[] = []
    const write = async (batch: Batch) => void log.push(`write ${nameOf(batch)}`)
    const written = (batch: Batch) => void log.push(`written ${nameOf(batch)}`)
    await drain(source([rows(1), rows(2)], []), { inFlight: 1, write, written })
    expect(log).toEqual(['write 1', 'written 1', 'write 2', 'written 2'])
  })
})

describe('the first failure', () => {
  it('I2: is not lost when the source is slow and then ends', async () => {
    const writes = new Writes()
    let go = () => {}
    const slow = () => new Promise<void>((resolve) => (go = resolve))
    const result = drain(source([rows(1), slow], []), { inFlight: 2, write: writes.write })
    const watched = watch(result)
    await writes.begun('1')
    writes.fail('1', new Error('lost row'))
    await turn()
    expect(watched.state).toBe('open')
    go()
    await expect(result).rejects.toThrow('lost row')
  })

  it('I2: is not lost when the source is slow and then goes on', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    let go = () => {}
    const slow = () => new Promise<void>((resolve) => (go = resolve))
    const transform = async (batch: RowBatch) => {
      log.push(`transform ${nameOf(batch)}`)
      return [batch]
    }
    const result = drain(source([rows(1), slow, rows(2), rows(3)], log), {
      inFlight: 2,
      write: writes.write,
      transform,
    })
    await writes.begun('1')
    writes.fail('1', new Error('lost row'))
    await turn()
    go()
    await expect(result).rejects.toThrow('lost row')
    expect(log).toEqual(['pull 1', 'transform 1', 'write 1', 'fail 1', 'pull 2', 'closed'])
  })

  it('wins over later ones, of writes and of the source', async () => {
    const writes = new Writes()
    let breakSource = () => {}
    const broken = () => new Promise<void>((_, reject) => (breakSource = () => reject(new Error('third'))))
    const result = drain(source([rows(1), rows(2), broken], []), { inFlight: 3, write: writes.write })
    await writes.begun('2')
    await turn()
    writes.fail('2', new Error('first'))
    await turn()
    writes.fail('1', new Error('second'))
    await turn()
    breakSource()
    await expect(result).rejects.toThrow('first')
  })

  it('of the source wins over a later one of a write, and waits for it', async () => {
    const writes = new Writes()
    const broken = () => Promise.reject(new Error('source broke'))
    const result = drain(source([rows(1), broken], []), { inFlight: 2, write: writes.write })
    const watched = watch(result)
    await writes.begun('1')
    await turn()
    expect(watched.state).toBe('open')
    writes.fail('1', new Error('too late'))
    await expect(result).rejects.toThrow('source broke')
  })

  it('may be any value, also undefined', async () => {
    const write = () => Promise.reject(undefined)
    await expect(drain(source([rows(1)], []), { inFlight: 1, write })).rejects.toBeUndefined()
  })

  it('may come from a write that throws before it returns a promise, and from the listener', async () => {
    const thrower = () => {
      throw new Error('not even begun')
    }
    await expect(drain(source([rows(1)], []), { inFlight: 1, write: thrower })).rejects.toThrow('not even begun')
    const quiet = async () => {}
    await expect(drain(source([rows(1)], []), { inFlight: 1, write: quiet, written: thrower })).rejects.toThrow()
  })

  it('stops pulling, closes the source, and waits until every open write has settled', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    const batches = [rows(1), rows(2), rows(3), rows(4), rows(5)]
    const result = drain(source(batches, log), { inFlight: 3, write: writes.write })
    const watched = watch(result)
    await writes.begun('3')
    writes.fail('2', new Error('refused'))
    await turn()
    expect(log.slice(-2)).toEqual(['fail 2', 'closed'])
    expect(watched.state).toBe('open')
    writes.finish('1')
    await turn()
    expect(watched.state).toBe('open')
    writes.finish('3')
    await expect(result).rejects.toThrow('refused')
    expect(log).not.toContain('pull 4')
  })

  it('is kept when the source cannot be closed', async () => {
    async function* stubborn(): AsyncGenerator<Batch> {
      try {
        yield rows(1)
        yield rows(2)
      } finally {
        await Promise.reject(new Error('cannot close'))
      }
    }
    const write = () => Promise.reject(new Error('refused'))
    await expect(drain(stubborn(), { inFlight: 1, write })).rejects.toThrow('refused')
  })
})

describe('an abort', () => {
  const reason = new Error('asked to stop')

  it('stops pulling, closes the source, waits for open writes, and rejects with its reason', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    const stop = new AbortController()
    const options = { inFlight: 2, write: writes.write, signal: stop.signal }
    const result = drain(source([rows(1), rows(2), rows(3), rows(4)], log), options)
    const watched = watch(result)
    await writes.begun('2')
    stop.abort(reason)
    writes.finish('1')
    await turn()
    expect(log.slice(-2)).toEqual(['done 1', 'closed'])
    expect(watched.state).toBe('open')
    writes.finish('2')
    await expect(result).rejects.toBe(reason)
    expect(log).not.toContain('pull 3')
  })

  it('before the beginning pulls nothing', async () => {
    const log: string[] = []
    const options = { inFlight: 1, write: new Writes(log).write, signal: AbortSignal.abort(reason) }
    await expect(drain(source([rows(1)], log), options)).rejects.toBe(reason)
    expect(log).toEqual([])
  })

  it('I2: does not take for the end that the source stops early without an error', async () => {
    const stop = new AbortController()
    async function* obedient(): AsyncGenerator<Batch> {
      yield rows(1)
      await turn()
      stop.abort(reason)
    }
    const options = { inFlight: 2, write: async () => {}, signal: stop.signal }
    await expect(drain(obedient(), options)).rejects.toBe(reason)
  })

  it('after the last batch lets the open writes decide', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    const stop = new AbortController()
    const result = drain(source([rows(1)], log), { inFlight: 2, write: writes.write, signal: stop.signal })
    await writes.begun('1')
    await turn()
    expect(log.at(-1)).toBe('closed')
    stop.abort(reason)
    writes.finish('1')
    await expect(result).resolves.toBeUndefined()
  })

  it('does not hide an earlier failure', async () => {
    const writes = new Writes()
    const stop = new AbortController()
    let go = () => {}
    const slow = () => new Promise<void>((resolve) => (go = resolve))
    const options = { inFlight: 2, write: writes.write, signal: stop.signal }
    const result = drain(source([rows(1), slow, rows(2)], []), options)
    await writes.begun('1')
    writes.fail('1', new Error('refused'))
    await turn()
    stop.abort(reason)
    go()
    await expect(result).rejects.toThrow('refused')
  })
})

describe('a transform', () => {
  const collect = (log: string[]): DrainOptions['write'] => {
    return async (batch) => void log.push(`${batch.op} ${nameOf(batch)}`)
  }

  it('decides what is written in place of a batch of rows, in order', async () => {
    const log: string[] = []
    const transform = async (batch: RowBatch) => {
      await turn()
      return nameOf(batch) === '2' ? [] : [rows(Number(nameOf(batch)) * 10), deletes(table, [{ id: 99 }])]
    }
    await drain(source([rows(1), rows(2), rows(3)], []), { inFlight: 1, write: collect(log), transform })
    expect(log).toEqual(['upsert 10', 'delete 99', 'upsert 30', 'delete 99'])
  })

  it('does not see barriers', async () => {
    const log: string[] = []
    const transform = () => Promise.reject(new Error('must not be called'))
    await drain(source([truncate(table), replace], []), { inFlight: 1, write: collect(log), transform })
    expect(log).toEqual(['truncate truncate', 'replace replace'])
  })

  it('that fails fails the pipeline after open writes have settled', async () => {
    const log: string[] = []
    const writes = new Writes(log)
    const transform = async (batch: RowBatch) => {
      if (nameOf(batch) === '2') throw new Error('no such field')
      return [batch]
    }
    const result = drain(source([rows(1), rows(2), rows(3)], log), { inFlight: 3, write: writes.write, transform })
    const watched = watch(result)
    await writes.begun('1')
    await turn()
    expect(watched.state).toBe('open')
    writes.finish('1')
    await expect(result).rejects.toThrow('no such field')
    expect(log).toEqual(['pull 1', 'write 1', 'pull 2', 'closed', 'done 1'])
  })

  it('works on so many batches at once, and the order of all stays', async () => {
    const log: string[] = []
    const waiting: (() => void)[] = []
    let [running, runningMax] = [0, 0]
    const transform = async (batch: RowBatch) => {
      runningMax = Math.max(runningMax, ++running)
      await new Promise<void>((resolve) => waiting.push(resolve))
      running -= 1
      return [batch]
    }
    const script = [rows(1), rows(2), rows(3), rows(4), replace, rows(5)]
    const pulled: string[] = []
    const result = drain(source(script, pulled), { inFlight: 1, write: collect(log), transform, transformsMax: 3 })
    while (waiting.length < 3) await turn()
    await turn()
    expect([pulled, log]).toEqual([['pull 1', 'pull 2', 'pull 3'], []])
    // The last one first: what comes after it waits for those before.
    for (const finish of [...waiting].reverse()) finish()
    while (waiting.length < 4) await turn()
    await turn()
    expect(log).toEqual(['upsert 1', 'upsert 2', 'upsert 3'])
    // Nothing behind a barrier is pulled before it is written.
    expect(pulled.slice(3)).toEqual(['pull 4', 'pull replace'])
    waiting[3]?.()
    while (waiting.length < 5) await turn()
    waiting[4]?.()
    await result
    expect(log.slice(3)).toEqual(['upsert 4', 'replace replace', 'upsert 5'])
    expect(runningMax).toBe(3)
  })

  it('that fails while others run lets those end first', async () => {
    const ended: string[] = []
    const go: (() => void)[] = []
    const transform = async (batch: RowBatch) => {
      if (nameOf(batch) === '2') throw new Error('no such field')
      await new Promise<void>((resolve) => go.push(resolve))
      ended.push(nameOf(batch))
      return [batch]
    }
    const log: string[] = []
    const options = { inFlight: 1, write: collect(log), transform, transformsMax: 3 }
    const result = drain(source([rows(1), rows(2), rows(3)], log), options)
    const watched = watch(result)
    while (go.length < 2) await turn()
    expect(watched.state).toBe('open')
    for (const finish of go) finish()
    await expect(result).rejects.toThrow('no such field')
    expect(ended).toEqual(['1', '3'])
    expect(log).toEqual(['pull 1', 'pull 2', 'pull 3', 'upsert 1', 'end', 'closed'])
  })

  it('counts each part as a write in flight', async () => {
    let [open, openMax] = [0, 0]
    const write = async () => {
      open += 1
      openMax = Math.max(openMax, open)
      await turn()
      open -= 1
    }
    const transform = async () => [rows(1), rows(2), rows(3), rows(4)]
    await drain(source([rows(0)], []), { inFlight: 2, write, transform })
    expect(openMax).toBe(2)
  })
})

it('I2, I6: whatever the timing, it writes everything, or fails with the first failure and leaves nothing open', async () => {
  const step = fc.record({
    barrier: fc.boolean(),
    turnsBefore: fc.nat({ max: 3 }),
    turnsWritten: fc.nat({ max: 4 }),
    fails: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  })
  const wait = async (turns: number) => {
    for (let index = 0; index < turns; index += 1) await turn()
  }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), async (steps, inFlight) => {
      const open = new Set<number>()
      const begun: number[] = []
      let pulled = 0
      let closed = false
      let firstFailure: string | undefined
      async function* batches(): AsyncGenerator<Batch> {
        try {
          for (const [index, { barrier, turnsBefore }] of steps.entries()) {
            expect(open.size).toBeLessThan(inFlight)
            expect(firstFailure).toBeUndefined()
            await wait(turnsBefore)
            pulled += 1
            yield barrier ? { ...truncate({ ...table, name: String(index) }) } : rows(index)
          }
        } finally {
          closed = true
        }
      }
      const write = async (batch: Batch) => {
        const index = 'length' in batch ? Number(nameOf(batch)) : Number(batch.table.name)
        begun.push(index)
        if (steps[index]?.barrier) expect([...open]).toEqual([])
        expect([...open].filter((other) => steps[other]?.barrier)).toEqual([])
        open.add(index)
        expect(open.size).toBeLessThanOrEqual(inFlight)
        await wait(steps[index]?.turnsWritten ?? 0)
        open.delete(index)
        if (!steps[index]?.fails) return
        firstFailure ??= `failure ${index}`
        throw new Error(`failure ${index}`)
      }
      const failure = await drain(batches(), { inFlight, write }).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : error),
      )
      expect(failure).toBe(firstFailure)
      expect([...open]).toEqual([])
      expect(closed).toBe(true)
      expect(begun).toEqual(steps.slice(0, begun.length).map((_, index) => index))
      if (failure === undefined) expect(begun.length).toBe(steps.length)
      else expect(pulled).toBeLessThanOrEqual(begun.length + 1)
    }),
    { numRuns: 300 },
  )
})
