// An HTTP service that replicates in the background. GET /health says how it is doing; SIGTERM ends both in order.
import { createServer } from 'node:http'
import { FileCheckpointStore, PostgresTriggerSource, SurrealSink, SyncEngine, SyncError } from 'surreal-sync'

const { DATABASE_URL = '', SURREAL_URL = '', CHECKPOINTS = '.surreal-sync-checkpoints', PORT = '8080' } = process.env

const engine = new SyncEngine({
  id: 'embed',
  source: new PostgresTriggerSource({ url: DATABASE_URL }),
  sink: new SurrealSink({ url: SURREAL_URL, namespace: 'app', database: 'app', username: 'root', password: 'root' }),
  checkpoints: new FileCheckpointStore(CHECKPOINTS),
})

const health = { state: 'starting', position: '', lagMs: 0 }
engine.on('phase', ({ phase }) => {
  health.state = phase
})
engine.on('caughtUp', () => {
  health.state = 'in step'
})
engine.on('checkpoint', ({ text, lagMs }) => {
  health.position = text
  health.lagMs = lagMs ?? 0
})

const server = createServer((_request, response) => {
  response.writeHead(health.state === 'stopped' ? 503 : 200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(health))
})
server.listen(Number(PORT), '127.0.0.1', () => console.log('listening', server.address()))

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

try {
  await engine.run({ follow: true, signal: stop.signal })
} catch (error) {
  if (!(error instanceof SyncError)) throw error
  console.error(error.code, error.message, error.details.hint ?? '')
  process.exitCode = 1
} finally {
  health.state = 'stopped'
  server.close()
}
