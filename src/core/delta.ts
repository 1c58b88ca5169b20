/** The unit of applying and of checkpointing, in both phases. */
import type { Alteration } from './alteration.js'
import type { Batch } from './batch.js'
import type { Position } from './checkpoint.js'
import type { Table } from './schema.js'

/**
 * The batches between two positions: barriers first, then upserts and deletes with every key at most once (I3). The
 * batches are pulled: the source reads no further than it is asked to, and never idles inside a delta (I8).
 */
export interface Delta {
  readonly batches: AsyncIterable<Batch>
  /** Safe to save once every batch is durable (I2). Read it after the batches have ended. */
  readonly position: Position
  /** After this delta the target equals the source as of this read. Read it after the batches have ended. */
  readonly drained: boolean
  /** Rows are to be stored also where the sink finds them equal to what it has. @defaultValue false */
  readonly rewrites?: boolean
  /** When the newest change in it was committed, in milliseconds since 1970 by the source's clock. */
  readonly committedAtMs?: number
  /** Tables in it that were not announced before, for example because they got new names. The sink is prepared for them first. */
  readonly tables?: readonly Table[]
  /** Where there are such: all others that are followed. */
  readonly beside?: readonly Table[]
  /** Columns that came or went, to be applied by `Sink.alter` before the batches. Only such as `ChangeOptions.alterable` allowed. */
  readonly alterations?: readonly Alteration[]
}

/** The same delta with other batches. What can be told only after the batches have ended is asked for then. */
export function withBatches(delta: Delta, batches: AsyncIterable<Batch>): Delta {
  const { rewrites, tables, alterations } = delta
  return {
    batches,
    rewrites,
    tables,
    alterations,
    get position() {
      return delta.position
    },
    get drained() {
      return delta.drained
    },
    get committedAtMs() {
      return delta.committedAtMs
    },
  }
}
