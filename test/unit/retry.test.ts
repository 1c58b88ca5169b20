import { describe, expect, it } from 'vitest'
import { SyncError } from '../../src/core/errors.js'
import { Retries, type RetryNotice, type RetryPolicy, retrying } from '../../src/engine/retry.js'

const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost', { table: 'public.users' })
const fatal = new SyncError('E_POISON_ROW', 'The target refuses a row')
const reason = new Error('asked to stop')
const atOnce: RetryPolicy = { attemptsMax: 4, delayMs: 0, delayMsMax: 0 }

function noticed(policy: RetryPolicy, signal?: AbortSignal) {
  const notices: RetryNotice[] = []
  return { notices, retries: new Retries(policy, (notice) => notices.push(notice), signal) }
}

/** Fails with these errors in turn, then succeeds. */
function failing(...errors: readonly unknown[]) {
  const work = {
    calls: 0,
    run: async () => {
      const error = errors[work.calls]
      work.calls += 1
      if (work.calls <= errors.length) throw error
      return 'done'
    },
  }
  return work
}

/** The first wait that a policy asks for, without waiting. */
async function firstDelay(policy: RetryPolicy): Promise<number> {
  const stop = new AbortController()
  let delay = Number.NaN
  const retries = new Retries(
    policy,
    ({ delayMs }) => {
      delay = delayMs
      stop.abort(reason)
    },
    stop.signal,
  )
  await expect(retries.after(lost)).rejects.toBe(reason)
  return delay
}

describe('the wait', () => {
  it('is between half and all of its ceiling, and differs from time to time', async () => {
    const policy: RetryPolicy = { attemptsMax: 10, delayMs: 1_000, delayMsMax: 30_000 }
    const delays = await Promise.all(Array.from({ length: 300 }, () => firstDelay(policy)))
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_000)
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(250)
    expect(new Set(delays).size).toBeGreaterThan(30)
  })

  it('doubles with each try in a row, up to its maximum', async () => {
    const { notices, retries } = noticed({ attemptsMax: 10, delayMs: 2, delayMsMax: 16 })
    for (let count = 0; count < 5; count += 1) await retries.after(lost)
    for (const [index, ceiling] of [2, 4, 8, 16, 16].entries()) {
      expect(notices[index]?.attempt).toBe(index + 1)
      expect(notices[index]?.delayMs).toBeGreaterThanOrEqual(ceiling / 2)
      expect(notices[index]?.delayMs).toBeLessThanOrEqual(ceiling)
    }
  })

  it('stays within its maximum after any number of tries', async () => {
    const { notices, retries } = noticed({ attemptsMax: 5_000, delayMs: 0, delayMsMax: 0 })
    for (let count = 0; count < 1_200; count += 1) await retries.after(lost)
    expect(notices.every(({ delayMs }) => delayMs === 0)).toBe(true)
    expect(await firstDelay({ attemptsMax: 2, delayMs: 1e300, delayMsMax: 40 })).toBeLessThanOrEqual(40)
  })

  it('begins small again after progress', async () => {
    const { notices, retries } = noticed({ attemptsMax: 3, delayMs: 0, delayMsMax: 0 })
    for (let count = 0; count < 10; count += 1) {
      await retries.after(lost)
      await retries.after(lost)
      retries.reset()
    }
    expect(notices.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, index) => (index % 2) + 1))
  })

  it('ends at once with the reason when the signal aborts', async () => {
    const stop = new AbortController()
    const { retries } = noticed({ attemptsMax: 3, delayMs: 3_600_000, delayMsMax: 3_600_000 }, stop.signal)
    const waiting = retries.after(lost)
    stop.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })
})

describe('work', () => {
  it('is done again until it succeeds', async () => {
    const { notices, retries } = noticed(atOnce)
    const work = failing(lost, lost, lost)
    await expect(retrying(retries, work.run)).resolves.toBe('done')
    expect(notices).toEqual([1, 2, 3].map((attempt) => ({ error: lost, attempt, delayMs: 0 })))
  })

  it('is given up with E_RETRY_EXHAUSTED, whose cause is the last error', async () => {
    const { notices, retries } = noticed(atOnce)
    const last = new SyncError('E_BUSY', 'Too many connections', { table: 'public.users' })
    const work = failing(lost, lost, lost, last)
    await expect(retrying(retries, work.run)).rejects.toMatchObject({
      code: 'E_RETRY_EXHAUSTED',
      retryable: false,
      message: 'Gave up after 4 tries: Too many connections',
      details: { table: 'public.users' },
      cause: last,
    })
    expect(work.calls).toBe(4)
    expect(notices).toHaveLength(3)
  })

  it('is tried once when the policy says so', async () => {
    const work = failing(lost)
    const { notices, retries } = noticed({ ...atOnce, attemptsMax: 1 })
    await expect(retrying(retries, work.run)).rejects.toMatchObject({ code: 'E_RETRY_EXHAUSTED', cause: lost })
    expect([work.calls, notices.length]).toEqual([1, 0])
  })

  it.each([
    ['an error that does not pass', fatal],
    ['a foreign error', new TypeError('a bug')],
    ['something that is no error', 'text'],
  ])('passes %s on at once, as it is', async (_, error) => {
    const { notices, retries } = noticed(atOnce)
    const work = failing(lost, error)
    await expect(retrying(retries, work.run)).rejects.toBe(error)
    expect([work.calls, notices.length]).toEqual([2, 1])
  })

  it('is not done again after an abort', async () => {
    const work = failing(lost)
    const { notices, retries } = noticed(atOnce, AbortSignal.abort(reason))
    await expect(retrying(retries, work.run)).rejects.toBe(reason)
    expect([work.calls, notices.length]).toEqual([1, 0])
  })

  it('that fails for good fails so also after an abort', async () => {
    const { retries } = noticed(atOnce, AbortSignal.abort(reason))
    await expect(retrying(retries, failing(fatal).run)).rejects.toBe(fatal)
  })
})
