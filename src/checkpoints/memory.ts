/** Checkpoints that live as long as the process. */
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-text.js'

/** Keeps checkpoints in memory: for tests, and for pipelines that may start from the beginning after a restart. */
export class MemoryCheckpointStore implements CheckpointStore {
  /** As texts, so that what a caller does with a checkpoint later is not saved. */
  readonly #checkpoints = new Map<string, string>()

  async load(syncId: string): Promise<Checkpoint | undefined> {
    const text = this.#checkpoints.get(syncId)
    return text === undefined ? undefined : decodeCheckpoint(text, syncId)
  }

  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    this.#checkpoints.set(syncId, encodeCheckpoint(checkpoint, syncId))
  }
}
