/** Where a pipeline's checkpoints are: in the target beside its rows, in a store apart, or both. */
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'
import type { Sink } from '../core/sink.js'
import type { RunContext } from '../core/source.js'

/** What is known before a run. */
export interface Stored {
  /** What the run starts from. */
  readonly checkpoint: Checkpoint | undefined
  /** What the store apart says, where the target has the last word. */
  readonly followed?: Checkpoint
  /** The store apart says that the target has rows, and the target has no checkpoint. */
  readonly missing: boolean
  /** The progress of a full sync that was cut off, as whoever knows about the target says. */
  readonly interrupted?: Checkpoint
}

/**
 * A sink that commits and is a store as well holds the truth: its checkpoint changes with the rows, so it is always the
 * one that they are at, also after the target was restored from a backup. A store apart follows it, for people and
 * scripts. It decides only about a target that has no checkpoint, and must then not
 * claim to have written one.
 */
export class Checkpoints {
  /** Whether the caller chose to keep any. */
  readonly chosen: boolean
  /** The sink, where it is a store itself. */
  readonly #target: CheckpointStore | undefined
  readonly #apart: CheckpointStore | undefined
  /** The sink is opened as such. */
  readonly #isSink: boolean

  constructor(sink: Sink, chosen: CheckpointStore | undefined) {
    this.chosen = chosen !== undefined
    this.#target = sink.commit !== undefined && isStore(sink) ? sink : undefined
    this.#isSink = Object.is(chosen, sink)
    this.#apart = this.#isSink && this.#target !== undefined ? undefined : chosen
  }

  async open(context: RunContext): Promise<void> {
    if (!this.#isSink) await this.#apart?.open?.(context)
  }

  async load(syncId: string): Promise<Stored> {
    const followed = await this.#apart?.load(syncId)
    if (this.#target === undefined) return { checkpoint: followed, missing: false, interrupted: progressIn(followed) }
    const checkpoint = await this.#target.load(syncId)
    if (checkpoint !== undefined) return { checkpoint, followed, missing: false, interrupted: progressIn(checkpoint) }
    const missing = followed !== undefined && isCopied(followed) && followed.external !== true
    return { checkpoint: followed, missing }
  }

  async probe(syncId: string): Promise<void> {
    await this.#target?.probe?.(syncId)
    await this.#apart?.probe?.(syncId)
  }

  /** The target first: what the store apart claims is always true of the target. */
  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    await this.#target?.save(syncId, checkpoint)
    await this.#apart?.save(syncId, checkpoint)
  }

  /** The sink is closed as such. */
  async close(): Promise<void> {
    await this.#apart?.close?.()
  }

  /** After the sink committed a checkpoint: the store apart follows. */
  async follow(syncId: string, checkpoint: Checkpoint): Promise<void> {
    await this.#apart?.save(syncId, checkpoint)
  }
}

/** Whether a full sync has ended, so that changes may be applied. */
export function isCopied({ kind }: Checkpoint): boolean {
  return kind === 'full_sync_end' || kind === 'incremental'
}

function progressIn(checkpoint: Checkpoint | undefined): Checkpoint | undefined {
  return checkpoint?.kind === 'full_progress' ? checkpoint : undefined
}

function isStore(sink: object): sink is CheckpointStore {
  return 'load' in sink && typeof sink.load === 'function' && 'save' in sink && typeof sink.save === 'function'
}
