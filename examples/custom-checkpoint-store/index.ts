// A checkpoint store of one's own: positions in a key-value service that is spoken to by HTTP (GET and PUT of a text).
import {
  type Checkpoint,
  type CheckpointStore,
  decodeCheckpoint,
  encodeCheckpoint,
  NdjsonSink,
  PostgresTriggerSource,
  SyncEngine,
  SyncError,
} from 'surreal-sync'

class HttpCheckpointStore implements CheckpointStore {
  readonly #url: string
  #last: Promise<unknown> = Promise.resolve()

  constructor(url: string) {
    this.#url = url
  }

  async load(syncId: string): Promise<Checkpoint | undefined> {
    const response = await this.#request('GET', syncId)
    return response.status === 404 ? undefined : decodeCheckpoint(await response.text(), syncId)
  }

  /** One after the other, so that of two saves the later one remains. */
  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    const text = encodeCheckpoint(checkpoint, syncId)
    const save = this.#last.then(() => this.#request('PUT', syncId, text))
    this.#last = save.catch(() => undefined)
    await save
  }

  async #request(method: string, syncId: string, body?: string): Promise<Response> {
    const options = { method, body, signal: AbortSignal.timeout(10_000) }
    const response = await fetch(`${this.#url}/${syncId}`, options).catch((cause: unknown) => {
      throw new SyncError('E_UNREACHABLE', 'The key-value service does not answer', { cause })
    })
    if (response.ok || (method === 'GET' && response.status === 404)) return response
    throw new SyncError(response.status >= 500 ? 'E_BUSY' : 'E_CONFIG', `The service answers with ${response.status}`)
  }
}

const { DATABASE_URL = '', KEY_VALUE_URL = '', FILE = 'changes.ndjson' } = process.env
const engine = new SyncEngine({
  id: 'custom-store',
  source: new PostgresTriggerSource({ url: DATABASE_URL }),
  sink: new NdjsonSink({ file: FILE }),
  checkpoints: new HttpCheckpointStore(KEY_VALUE_URL),
})
const { phase, position } = await engine.run()
console.log(phase, position)
