import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import { SyncError } from '../../src/core/errors.js'
import type { SyncEngineOptions } from '../../src/engine/options.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import type { Observation, ObserveOptions } from '../../src/observe/observation.js'
import { observe } from '../../src/observe/observe.js'
import { defineTable, faulty, MemorySink, MemorySource, Reject } from '../../src/testing/index.js'
import { filled, lost, once, retry, user, users } from '../support/engine-fixtures.js'
import { parseMetrics, valueOfSample } from '../support/prometheus.js'

const open: Observation[] = []

afterEach(async () => {
  for (const observation of open.splice(0)) await observation.close()
})

async function observed(engine: SyncEngine, options?: ObserveOptions): Promise<Observation> {
  const observation = await observe(engine, options)
  open.push(observation)
  return observation
}

const metricsOf = async (observation: Observation) => parseMetrics(await observation.metrics())

function pipeline(options: Partial<SyncEngineOptions> = {}) {
  const source = filled()
  const sink = new MemorySink({ transactional: true })
  const engine = new SyncEngine({
    source,
    sink,
    checkpoints: new MemoryCheckpointStore(),
    id: 'shop',
    retry,
    ...options,
  })
  return { source, sink, engine }
}

describe('metrics', () => {
  it('are what has happened, by the grammar, in base units', async () => {
    const { engine, source } = pipeline()
    const observation = await observed(engine)
    await engine.run()
    source.upsert(users.label, user(1, 'other'), user(100))
    source.delete(users.label, user(2))
    await engine.run()
    const metrics = await metricsOf(observation)
    const rows = (table: string, phase: string) => valueOfSample(metrics, 'surreal_sync_rows_total', { table, phase })
    expect(rows('public.users', 'full')).toBe(20)
    expect(rows('public.orders', 'full')).toBe(2)
    expect(rows('public.users', 'incremental')).toBe(3)
    expect(valueOfSample(metrics, 'surreal_sync_batches_total', { phase: 'incremental', op: 'delete' })).toBe(1)
    expect(valueOfSample(metrics, 'surreal_sync_deltas_total')).toBe(1)
    expect(valueOfSample(metrics, 'surreal_sync_checkpoints_total', { kind: 'full_sync_start' })).toBe(1)
    expect(valueOfSample(metrics, 'surreal_sync_phase', { phase: 'completed' })).toBe(1)
    expect(valueOfSample(metrics, 'surreal_sync_phase', { phase: 'full' })).toBe(0)
    expect(metrics.get('surreal_sync_build_info')?.samples).toMatchObject([
      { value: 1, labels: { version: expect.stringMatching(/^\d+\.\d+\.\d+/) } },
    ])
    for (const [name, { type, samples }] of metrics) {
      expect(name).toMatch(/^(surreal_sync|process)_[a-z_]+$/)
      expect(name).not.toMatch(/_(ms|milliseconds|kb|count)$/)
      expect(name.endsWith('_total')).toBe(type === 'counter')
      for (const { value } of samples) expect(value).toBeGreaterThanOrEqual(0)
    }
  })

  it('count retries, and errors that end a run, by code', async () => {
    let failures = 0
    const source = filled()
    const sink = new MemorySink()
    const write = sink.write.bind(sink)
    sink.write = async (batch, options) => {
      failures += 1
      if (failures <= 2) throw lost
      if (failures === 5) throw new SyncError('E_POISON_ROW', 'The target refuses a row')
      return write(batch, options)
    }
    const engine = new SyncEngine({ source, sink, checkpoints: new MemoryCheckpointStore(), retry })
    const observation = await observed(engine)
    await expect(engine.run()).rejects.toMatchObject({ code: 'E_POISON_ROW' })
    const metrics = await metricsOf(observation)
    expect(valueOfSample(metrics, 'surreal_sync_retries_total', { code: 'E_CONNECTION_LOST' })).toBe(2)
    expect(valueOfSample(metrics, 'surreal_sync_errors_total', { code: 'E_POISON_ROW' })).toBe(1)
    expect(valueOfSample(metrics, 'surreal_sync_phase', { phase: 'failed' })).toBe(1)
    expect(observation.health()).toMatchObject({ healthy: false, ready: false, state: 'failed', error: 'E_POISON_ROW' })
  })

  it('leave out what is not known', async () => {
    const { engine } = pipeline()
    const observation = await observed(engine)
    const metrics = await metricsOf(observation)
    for (const name of ['surreal_sync_lag_seconds', 'surreal_sync_last_checkpoint_timestamp_seconds']) {
      expect(metrics.get(name)?.samples).toEqual([])
    }
    expect(metrics.has('surreal_sync_audit_rows')).toBe(false)
  })

  it('say what the source says of itself, and count when it does not answer', async () => {
    const { engine } = pipeline()
    let asked = 0
    const status = async () => {
      asked += 1
      if (asked > 1) throw new Error('secret')
      const pipelines = [
        { id: 'other', behind: 99 },
        { id: 'shop', behind: 7, lagMs: 1_500 },
      ]
      return { changes: 12, bytes: 8_192, pipelines, oldestWriter: { ageMs: 90_000 } }
    }
    await engine.run()
    const again = once(engine, 'end')
    const observation = await observed(engine, { source: { status }, statusIntervalMs: 1 })
    await engine.run()
    await again
    await expect.poll(() => asked).toBeGreaterThanOrEqual(3)
    const metrics = await metricsOf(observation)
    expect(valueOfSample(metrics, 'surreal_sync_audit_rows')).toBe(12)
    expect(valueOfSample(metrics, 'surreal_sync_oldest_unseen_transaction_age_seconds')).toBe(90)
    expect(valueOfSample(metrics, 'surreal_sync_source_status_failures_total')).toBeGreaterThanOrEqual(1)
  })

  it('quote names of tables, whatever they are', async () => {
    const label = 'public."a\\b\n}"'
    const source = new MemorySource({ tables: [defineTable(label, { id: 'integer' }, ['id'])] })
    source.upsert(label, { id: 1 })
    const engine = new SyncEngine({ source, sink: new MemorySink(), checkpoints: new MemoryCheckpointStore() })
    const observation = await observed(engine)
    await engine.run()
    const metrics = await metricsOf(observation)
    expect(valueOfSample(metrics, 'surreal_sync_rows_total', { table: label, phase: 'full' })).toBe(1)
  })
})

it('are those of docs/monitoring.md, with their labels', async () => {
  const { engine, source } = pipeline()
  const status = async () => ({ changes: 0, bytes: 0, pipelines: [] })
  const observation = await observed(engine, { source: { status } })
  await engine.run()
  source.upsert(users.label, user(1, 'other'))
  await engine.run()
  const page = await readFile(new URL('../../docs/monitoring.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `((?:surreal_sync|process)_\w+)` \|((?: `\w+`,?)*) \|/gm)]
  const documented = new Map(rows.map(([, name = '', labels = '']) => [name, labels.match(/\w+/g) ?? []]))
  const metrics = await metricsOf(observation)
  expect([...documented.keys()].sort()).toEqual([...metrics.keys()].sort())
  for (const [name, { samples, type }] of metrics) {
    const [labels] = samples.map((sample) => Object.keys(sample.labels).filter((label) => label !== 'le'))
    if (labels !== undefined && type !== 'histogram') expect(labels, name).toEqual(documented.get(name))
  }
})

describe('readiness', () => {
  it('comes when the target is as the source, and goes while it cannot be reached', async () => {
    let down = false
    const { engine, source } = pipeline({
      sink: faulty(new MemorySink({ transactional: true }), (operation) =>
        down && operation === 'commit' ? new Reject(lost) : undefined,
      ),
      retry: { attemptsMax: 1_000, delayMs: 1, delayMsMax: 1 },
    })
    const observation = await observed(engine, { readyLagMsMax: 0 })
    expect(observation.health()).toMatchObject({ healthy: true, ready: false, state: 'idle' })
    const stop = new AbortController()
    const caughtUp = once(engine, 'caughtUp')
    const ended = engine.run({ follow: true, signal: stop.signal })
    expect(observation.health()).toMatchObject({ ready: false, state: 'starting' })
    await caughtUp
    expect(observation.health()).toMatchObject({ ready: true, state: 'incremental', lagMs: 0 })
    down = true
    const retried = once(engine, 'retry')
    source.upsert(users.label, user(7, 'new'))
    await retried
    await expect.poll(() => observation.health().lagMs).toBeGreaterThan(0)
    expect(observation.health()).toMatchObject({ healthy: true, ready: false })
    const applied = once(engine, 'caughtUp')
    down = false
    await applied
    expect(observation.health()).toMatchObject({ ready: true, lagMs: 0 })
    stop.abort()
    await ended
    expect(observation.health()).toMatchObject({ healthy: true, ready: false, state: 'aborted' })
  })

  it('goes while changes are on their way, however long that takes', async () => {
    let gate = Promise.resolve()
    let open = () => {}
    const { engine, source } = pipeline({ transforms: [(rows) => gate.then(() => rows)] })
    const observation = await observed(engine, { readyLagMsMax: 0 })
    const stop = new AbortController()
    const caughtUp = once(engine, 'caughtUp')
    const ended = engine.run({ follow: true, signal: stop.signal })
    await caughtUp
    expect(observation.health()).toMatchObject({ ready: true, lagMs: 0 })
    gate = new Promise((resolve) => {
      open = resolve
    })
    const [applying, applied] = [once(engine, 'applying'), once(engine, 'caughtUp')]
    source.upsert(users.label, user(7, 'new'))
    await applying
    await expect.poll(() => observation.health().lagMs).toBeGreaterThan(0)
    expect(observation.health()).toMatchObject({ healthy: true, ready: false })
    open()
    await applied
    expect(observation.health()).toMatchObject({ ready: true, lagMs: 0 })
    stop.abort()
    await ended
  })
})

it('the lag grows from the first delta after a restart on, and says nothing of readiness', async () => {
  let gate = Promise.resolve()
  let open = () => {}
  const { engine, source } = pipeline({ transforms: [(rows) => gate.then(() => rows)] })
  const observation = await observed(engine)
  await engine.run()
  gate = new Promise((resolve) => {
    open = resolve
  })
  source.upsert(users.label, user(7, 'new'))
  const stop = new AbortController()
  const [applying, applied] = [once(engine, 'applying'), once(engine, 'caughtUp')]
  const ended = engine.run({ follow: true, signal: stop.signal })
  await applying
  await expect.poll(() => observation.health().lagMs).toBeGreaterThan(0)
  expect(observation.health()).toMatchObject({ healthy: true, ready: false, state: 'incremental' })
  expect(valueOfSample(await metricsOf(observation), 'surreal_sync_lag_seconds')).toBeGreaterThan(0)
  open()
  await applied
  expect(observation.health()).toMatchObject({ ready: true, lagMs: 0 })
  stop.abort()
  await ended
})

interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: unknown }
  readonly body: string
}

function ask(url: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    sent.on('error', reject).end()
  })
}

describe('the server', () => {
  it('answers on the loopback, to names of this machine only, and changes nothing', async () => {
    const { engine } = pipeline()
    const observation = await observed(engine)
    const url = await observation.listen({ port: 0 })
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    await engine.run()
    expect(await ask(`${url}healthz`)).toMatchObject({ status: 200, body: '{"ok":true,"state":"completed"}\n' })
    expect(await ask(`${url}readyz?x=1`)).toMatchObject({ status: 200 })
    const metrics = await ask(`${url}metrics`)
    expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(parseMetrics(metrics.body).size).toBeGreaterThan(15)
    expect(await ask(`${url}metrics`, 'HEAD')).toMatchObject({ status: 200, body: '' })
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      expect(await ask(url, method)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
    }
    expect(await ask(`${url}nothing`)).toMatchObject({ status: 404 })
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'localhost@evil.example']) {
      expect(await ask(url, 'GET', { host })).toMatchObject({ status: 403 })
    }
    for (const host of ['localhost', 'localhost:1', '127.0.0.1:9400', '[::1]:9400']) {
      expect(await ask(url, 'GET', { host })).toMatchObject({ status: 200 })
    }
  })

  it('says that an address is taken, in a sentence', async () => {
    const { engine } = pipeline()
    const observation = await observed(engine)
    const { port } = new URL(await observation.listen({ port: 0 }))
    await expect(observation.listen({ port: Number(port) })).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: `Nothing can listen at 127.0.0.1:${port}: something else does already`,
    })
  })

  it('serves the page as one document that may do nothing else', async () => {
    const observation = await observed(pipeline().engine)
    const { body, headers } = await ask(await observation.listen({ port: 0 }))
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-/,
    )
    expect(body).not.toMatch(/\b(?:src|href)="(?!data:|metrics"|healthz"|readyz")/)
    expect(body).not.toMatch(/https?:\/\/(?!www\.w3\.org\/)/)
    expect(body.match(/<script>/g)).toHaveLength(1)
    expect(body).not.toContain('innerHTML')
  })

  it('tells what happens by events, from the beginning for whoever comes later', async () => {
    const { engine } = pipeline()
    const observation = await observed(engine, { from: 'a', to: 'b' })
    const url = await observation.listen({ port: 0 })
    await engine.run()
    const stop = new AbortController()
    const response = await fetch(`${url}events`, { signal: stop.signal })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const events: { event: string; data: Record<string, unknown> }[] = []
    let text = ''
    for await (const part of response.body ?? []) {
      text += Buffer.from(part).toString()
      const whole = text.split('\n\n')
      text = whole.pop() ?? ''
      for (const one of whole) {
        const [, event = '', data = '{}'] = /^event: (\w+)\ndata: (.*)$/.exec(one) ?? []
        if (event !== '') events.push({ event, data: JSON.parse(data) })
      }
      if (events.length >= 2) break
    }
    expect(events.map(({ event }) => event)).toEqual(['all', 'tick'])
    expect(events[0]?.data).toMatchObject({ id: 'shop', state: 'completed', phase: 'incremental', from: 'a', to: 'b' })
    expect(events[0]?.data.tables).toHaveLength(2)
    expect(events[0]?.data.checkpoints).toMatchObject([
      { kind: 'checkpoint', code: 'full_sync_start' },
      { code: 'full_sync_end' },
      { code: 'incremental' },
    ])
    expect(events[1]?.data).toMatchObject({ state: 'completed', sample: { rowsPerSecond: expect.any(Number) } })
  })

  it('lets only so many follow', async () => {
    const observation = await observed(pipeline().engine)
    const url = await observation.listen({ port: 0 })
    const stop = new AbortController()
    const answers = []
    for (let client = 0; client < 17; client += 1) answers.push(await fetch(`${url}events`, { signal: stop.signal }))
    expect(answers.map(({ status }) => status)).toEqual([...Array(16).fill(200), 503])
    stop.abort()
  })
})
