/** Settings → source, sink and store. Nothing connects yet. */
import {
  type CheckpointStore,
  FileCheckpointStore,
  PostgresTriggerSource,
  type Sink,
  type Source,
  SurrealSink,
  type WatchedSource,
} from '../index.js'
import type { CommandLineIo } from './io.js'
import type { Settings } from './settings.js'

export interface Connections {
  readonly source: Source
  readonly sink: Sink
  readonly checkpoints: CheckpointStore | undefined
  /** The source once more, to be asked how it is while a run goes on. */
  readonly watched: WatchedSource | undefined
}

export function createConnections(settings: Settings, io: CommandLineIo): Connections {
  const { source, sink } = (io.connect ?? connect)(settings)
  const { checkpointDir, http } = settings
  return {
    source,
    sink,
    checkpoints: checkpointDir === undefined ? undefined : new FileCheckpointStore(checkpointDir),
    watched: http && io.connect === undefined ? new PostgresTriggerSource(settings.source) : undefined,
  }
}

/** What the sink has anyway. */
const writersMin = 2

function connect({ source, sink, batchSize, concurrency = 0, dryRun }: Settings): { source: Source; sink: Sink } {
  // Whoever reads has a write open now and then.
  const writers = concurrency > writersMin ? concurrency : undefined
  const target = new SurrealSink({ ...sink, batchSize, writers })
  return {
    source: new PostgresTriggerSource(source),
    sink:
      dryRun && isEmbedded(sink.url) ? { name: target.name, obeysDeletes: target.obeysDeletes, write: refuse } : target,
  }
}

/** Opening a database in files creates or changes those files, so a dry run leaves it alone. */
export function isEmbedded(url: string): boolean {
  return /^(mem|surrealkv|rocksdb):/.test(url)
}

async function refuse(): Promise<void> {
  throw new Error('A dry run writes nothing')
}
