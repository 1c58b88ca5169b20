/** A checkpoint as one text, for stores that have a place for texts. */
import type { Checkpoint } from '../core/checkpoint.js'
import { corrupt, decodeStored, encodeStored, foreign } from './file-content.js'

/**
 * Writes a checkpoint as text: a JSON document with a checksum, which {@link decodeCheckpoint} reads back exactly. Scripts
 * find the source's own form of the position in its field `checkpoint`.
 * @param syncId the pipeline that it belongs to, as given to `CheckpointStore.save`
 */
export function encodeCheckpoint(checkpoint: Checkpoint, syncId: string): string {
  return encodeStored({ checkpoint, pipeline: syncId, serial: 1 })
}

/**
 * Reads what {@link encodeCheckpoint} wrote.
 * @param syncId the pipeline that asks
 * @throws SyncError `E_CHECKPOINT_CORRUPT` if the text is not exactly what was written; `E_CHECKPOINT_FOREIGN` if it belongs to
 *   another pipeline or was written by a newer release
 */
export function decodeCheckpoint(text: string, syncId: string): Checkpoint {
  const place = `of pipeline ${syncId}`
  const { checkpoint, pipeline } = decodeStored(Buffer.from(text), place)
  if (pipeline === undefined) throw corrupt(place, 'has no checksum')
  if (pipeline !== syncId) throw foreign(place, 'belongs to another pipeline')
  return checkpoint
}
