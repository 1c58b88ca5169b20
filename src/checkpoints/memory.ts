/** Checkpoints that live as long as the process. */
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'

/** Keeps checkpoints in memory: for tests, and for pipelines that may start from the beginning after a restart. */
export class MemoryCheckpointStore implements CheckpointStore {
  readonly #checkpoints = new Map<string, Checkpoint>()

  async load(syncId: string): Promise<Checkpoint | undefined> {
    return this.#checkpoints.get(syncId)
  }

  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    this.#checkpoints.set(syncId, checkpoint)
  }
}
