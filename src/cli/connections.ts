/** Settings → source, sink and store. Nothing connects yet. */
import {
  type CheckpointStore,
  FileCheckpointStore,
  PostgresTriggerSource,
  type Sink,
  type Source,
  SurrealSink,
} from '../index.js'
import type { CommandLineIo } from './io.js'
import type { Settings } from './settings.js'

export interface Connections {
  readonly source: Source
  readonly sink: Sink
  readonly checkpoints: CheckpointStore | undefined
}

export function createConnections(settings: Settings, io: CommandLineIo): Connections {
  const { source, sink } = (io.connect ?? connect)(settings)
  const { checkpointDir } = settings
  return { source, sink, checkpoints: checkpointDir === undefined ? undefined : new FileCheckpointStore(checkpointDir) }
}

function connect({ source, sink, batchSize }: Settings): { source: Source; sink: Sink } {
  return { source: new PostgresTriggerSource(source), sink: new SurrealSink({ ...sink, batchSize }) }
}
