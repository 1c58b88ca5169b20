import { SpanStatusCode, trace } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import { Log } from '../../src/cli/log.js'
import { traceWhereSetUp } from '../../src/cli/observability.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { traceSpans } from '../../src/observe/trace.js'
import { faulty, MemorySink, Reject } from '../../src/testing/index.js'
import { fatal, filled, user, users } from '../support/engine-fixtures.js'

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })

beforeAll(() => void trace.setGlobalTracerProvider(provider))
beforeEach(() => exporter.reset())
afterAll(() => trace.disable())

/** `name of the parent > name`, with what it says. */
function spans(): readonly { readonly path: string; readonly span: ReadableSpan }[] {
  const all = exporter.getFinishedSpans()
  const nameOf = (id: string | undefined) => all.find((span) => span.spanContext().spanId === id)?.name
  return all.map((span) => ({ path: `${nameOf(span.parentSpanContext?.spanId) ?? ''} > ${span.name}`, span }))
}

const pathsOf = () => spans().map(({ path }) => path.replaceAll('surreal_sync.', ''))

describe('spans', () => {
  it('are of the run, its phases, the copy of each table and deltas with changes', async () => {
    const source = filled()
    const engine = new SyncEngine({
      source,
      sink: new MemorySink(),
      checkpoints: new MemoryCheckpointStore(),
      id: 'shop',
    })
    const end = await traceSpans(engine)
    await engine.run()
    expect(pathsOf()).toEqual(['full > copy', 'full > copy', 'run > full', 'run > incremental', ' > run'])
    const copy = spans().find(({ span }) => span.attributes['surreal_sync.table'] === users.label)
    expect(copy?.span.attributes).toEqual({ 'surreal_sync.table': users.label, 'surreal_sync.rows': 20 })
    exporter.reset()
    source.upsert(users.label, user(1, 'canary'), user(2, 'canary'))
    await engine.run()
    expect(pathsOf()).toEqual(['incremental > delta', 'run > incremental', ' > run'])
    const [delta] = spans()
    expect(delta?.span.attributes).toMatchObject({ 'surreal_sync.rows': 2, 'surreal_sync.drained': true })
    const run = spans().at(-1)?.span
    expect(run?.attributes).toEqual({ 'surreal_sync.pipeline': 'shop', 'surreal_sync.reason': 'completed' })
    expect(run?.instrumentationScope).toMatchObject({ name: 'surreal-sync', version: expect.stringMatching(/^\d/) })
    const said = exporter.getFinishedSpans().map(({ name, attributes, events }) => ({ name, attributes, events }))
    expect(JSON.stringify(said)).not.toContain('canary')
    exporter.reset()
    end()
    await engine.run()
    expect(exporter.getFinishedSpans()).toEqual([])
  })

  it('are made by the command line where a variable of OpenTelemetry is set', async () => {
    const log = new Log({ format: 'text', level: 'debug', write: (line) => expect.unreachable(line) })
    for (const [env, paths] of [
      [{ OTEL_SERVICE_NAME: 'sync' }, 5],
      [{ HOME: 'x' }, 0],
    ] as const) {
      exporter.reset()
      const engine = new SyncEngine({
        source: filled(),
        sink: new MemorySink(),
        checkpoints: new MemoryCheckpointStore(),
      })
      await traceWhereSetUp(engine, env, log)
      await engine.run()
      expect(exporter.getFinishedSpans()).toHaveLength(paths)
    }
  })

  it('say by what code a run failed, and are all ended', async () => {
    const sink = faulty(new MemorySink(), { write: [undefined, undefined, new Reject(fatal)] })
    const engine = new SyncEngine({ source: filled(), sink, checkpoints: new MemoryCheckpointStore() })
    await traceSpans(engine)
    await expect(engine.run()).rejects.toMatchObject({ code: 'E_TARGET' })
    const run = spans().at(-1)?.span
    expect(run?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'E_TARGET' })
    expect(run?.attributes['error.type']).toBe('E_TARGET')
    expect(pathsOf()).toContain('run > full')
  })
})
