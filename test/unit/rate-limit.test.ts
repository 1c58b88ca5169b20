import { expect, it } from 'vitest'
import { protectionOf } from '../../src/cli/protection-settings.js'
import { PostgresTriggerSource } from '../../src/index.js'
import { RateLimit } from '../../src/sources/postgres/rate-limit.js'

/** Time that passes only where somebody waits. */
class Clock {
  ms = 0
  readonly now = () => this.ms
  readonly pause = async (delayMs: number, signal: AbortSignal | undefined) => {
    signal?.throwIfAborted()
    this.ms += delayMs
  }
}

it('gives as many rows as it says, whatever the sizes of what is taken', async () => {
  const clock = new Clock()
  const rate = new RateLimit(1_000, clock)
  for (const rows of [1, 999, 5_000, 250, 3_750]) await rate.take(rows, {})
  // 10,000 rows, less what may be taken at once at the beginning.
  expect(clock.ms).toBe(9_900)
})

it('does not save up for later what nobody took', async () => {
  const clock = new Clock()
  const rate = new RateLimit(1_000, clock)
  await rate.take(100, {})
  clock.ms += 60_000
  const before = clock.ms
  await rate.take(1_100, {})
  expect(clock.ms - before).toBe(1_000)
})

it('counts all who take together', async () => {
  const clock = new Clock()
  const waits: number[] = []
  const rate = new RateLimit(1_000, {
    now: clock.now,
    async pause(delayMs) {
      waits.push(delayMs)
    },
  })
  await Promise.all([600, 600, 600].map((rows) => rate.take(rows, {})))
  expect(waits).toEqual([500, 1_100, 1_700])
})

it('stops when the run does', async () => {
  const rate = new RateLimit(1, new Clock())
  const reason = new Error('stopped')
  await expect(rate.take(10, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})

it.each([
  [{ auditLimit: '20GB' }, { auditBytesMax: 20 * 2 ** 30 }],
  [
    { auditLimit: '500 MiB', auditLimitPolicy: 'detach' },
    { auditBytesMax: 500 * 2 ** 20, auditLimitPolicy: 'detach' },
  ],
  [{ maxAuditLag: '50000' }, { auditLagMax: 50_000 }],
  [{ maxReplicationLag: '64m' }, { replicationLagBytesMax: 64 * 2 ** 20 }],
  [
    { statementTimeout: '10m', lockTimeout: '500ms' },
    { statementTimeoutMs: 600_000, lockTimeoutMs: 500 },
  ],
  [
    { sourceConnections: '5', maxRowsPerSecond: '2000' },
    { connectionsMax: 5, maxRowsPerSecond: 2_000 },
  ],
])('%j means %j', (flags, expected) => {
  expect(protectionOf(flags)).toMatchObject(expected)
})

it.each([
  { auditLimit: 'much' },
  { auditLimit: '0' },
  { sourceConnections: '4' },
  { maxRowsPerSecond: '0' },
  { maxAuditLag: '0' },
  { maxAuditLag: '1000000001' },
  { lockTimeout: '-1' },
])('%j is refused', (flags) => {
  expect(() => protectionOf(flags)).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
})

it('options that are no numbers are refused by name', () => {
  const url = 'postgresql://h/db'
  expect(() => new PostgresTriggerSource({ url, connectionsMax: 4 })).toThrow(/connectionsMax.*at least 5/)
  expect(() => new PostgresTriggerSource({ url, maxRowsPerSecond: 0.5 })).toThrow(/maxRowsPerSecond/)
  expect(() => new PostgresTriggerSource({ url, auditLimitPolicy: 'detach' })).toThrow(/auditLimitPolicy.*no limit/)
})
