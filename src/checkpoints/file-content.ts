/** The text of a stored checkpoint: written with a checksum and read strictly, the shapes of older releases included. */
import { createHash } from 'node:crypto'
import type { Checkpoint, CheckpointKind, Position } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import { Decimal, type Json } from '../core/value.js'

/** A checkpoint and what its file says besides. */
export interface StoredCheckpoint {
  readonly checkpoint: Checkpoint
  /** Whose it is. Undefined in files of older releases. */
  readonly pipeline: string | undefined
  /** Counts the saves of a pipeline, so that the newest file is known without a clock. 0 in files of older releases. */
  readonly serial: number
}

const version = 1
const kinds: readonly CheckpointKind[] = ['full_sync_start', 'full_progress', 'full_sync_end', 'incremental']
const trailer = /,\n {2}"checksum": "sha256:([0-9a-f]{64})"\n\}\n$/

/** The text of the file. */
export function encodeStored({ checkpoint, pipeline, serial }: StoredCheckpoint): string {
  const fields: readonly (readonly [string, Json | undefined])[] = [
    ['checkpoint', checkpoint.described],
    ['phase', checkpoint.kind],
    ['timestamp', checkpoint.timestamp],
    ['pipeline', pipeline],
    ['position', checkpoint.position],
    ['resume_after', checkpoint.resumeAfter],
    ['completed', checkpoint.completed],
    ['serial', serial],
    ['version', version],
  ]
  const lines = fields.flatMap(([name, value]) => (value === undefined ? [] : [`  "${name}": ${stringify(value)}`]))
  const body = `{\n${lines.join(',\n')}`
  return `${body},\n  "checksum": "sha256:${digest(body)}"\n}\n`
}

/**
 * Reads what was stored.
 * @param place where that is, for messages: `file /var/lib/checkpoint_incremental.json`
 * @throws SyncError `E_CHECKPOINT_CORRUPT` for anything that is not exactly what was written once, `E_CHECKPOINT_FOREIGN`
 *   for the checkpoint of another kind of source or of a newer release
 */
export function decodeStored(bytes: Uint8Array, place: string): StoredCheckpoint {
  const text = decodeText(bytes, place)
  const match = trailer.exec(text)
  const content = parseObject(text, place)
  if (match === null) return decodeOlder(content, place)
  if (digest(text.slice(0, match.index)) !== match[1]) throw corrupt(place, 'has been changed: its checksum is wrong')
  if (content.version !== version) throw foreign(place, 'was written by a newer release of surreal-sync')
  const { checkpoint: described, phase, timestamp, pipeline, position, resume_after, completed, serial } = content
  const kind = kinds.find((known) => known === phase)
  if (kind === undefined) throw foreign(place, 'was written by a newer release of surreal-sync')
  const valid =
    described !== undefined &&
    typeof timestamp === 'string' &&
    typeof pipeline === 'string' &&
    typeof position === 'string' &&
    typeof resume_after === 'string' &&
    typeof serial === 'number' &&
    (completed === undefined || (Array.isArray(completed) && completed.every((id) => typeof id === 'string')))
  if (!valid) throw corrupt(place, 'lacks a field')
  return {
    checkpoint: {
      kind,
      position: position as Position,
      resumeAfter: resume_after as Position,
      described,
      ...(completed === undefined ? {} : { completed }),
      timestamp,
    },
    pipeline,
    serial,
  }
}

/** The error for what cannot be trusted. */
export function corrupt(place: string, reason: string): SyncError {
  return new SyncError('E_CHECKPOINT_CORRUPT', `The checkpoint ${place} ${reason}`, {
    hint: 'Restore it from a backup, or move it away and run the full sync again.',
  })
}

/** The error for what is not this pipeline's to read. */
export function foreign(place: string, reason: string): SyncError {
  return new SyncError('E_CHECKPOINT_FOREIGN', `The checkpoint ${place} ${reason}`, {
    hint: 'Choose another place for checkpoints, or move this one away and run the full sync.',
  })
}

type Content = { readonly [name: string]: Json | undefined }

const olderPhases: { readonly [phase: string]: CheckpointKind } = {
  full_sync_start: 'full_sync_start',
  full_sync_end: 'full_sync_end',
  FullSyncStart: 'full_sync_start',
  FullSyncEnd: 'full_sync_end',
}

/**
 * Three shapes: `{checkpoint:{PostgreSQL:{…}},phase,timestamp}`, `{database_type,checkpoint:{…},phase,created_at}` and
 * `{checkpoint_data:"…",database_type,phase,created_at}`. Exactly these names, so that a damaged file of ours is none.
 */
function decodeOlder(content: Content, place: string): StoredCheckpoint {
  const { checkpoint, checkpoint_data, phase, database_type = 'postgresql' } = content
  const names = Object.keys(content).sort().join()
  let state: Json | undefined
  if (names === 'checkpoint,phase,timestamp') {
    if (isObject(checkpoint) && checkpoint.PostgreSQL === undefined)
      throw foreign(place, 'belongs to another kind of source')
    state = isObject(checkpoint) ? checkpoint.PostgreSQL : undefined
  } else if (names === 'checkpoint,created_at,database_type,phase') {
    state = checkpoint
  } else if (names === 'checkpoint_data,created_at,database_type,phase' && typeof checkpoint_data === 'string') {
    state = parseObject(checkpoint_data, place)
  } else {
    throw corrupt(place, 'is torn or is not a checkpoint')
  }
  if (database_type !== 'postgresql') throw foreign(place, 'belongs to another kind of source')
  const kind = typeof phase === 'string' && Object.hasOwn(olderPhases, phase) ? olderPhases[phase] : undefined
  const timestamp = content.timestamp ?? content.created_at
  if (kind === undefined || typeof timestamp !== 'string' || Number.isNaN(Date.parse(timestamp)) || !isObject(state)) {
    throw corrupt(place, 'is not a checkpoint of a full sync')
  }
  const position = `postgresql:sequence:${sequenceOf(state, place)}` as Position
  const described: Json = { PostgreSQL: state }
  return {
    checkpoint: { kind, position, resumeAfter: position, described, timestamp, external: true },
    pipeline: undefined,
    serial: 0,
  }
}

function sequenceOf(state: { readonly [name: string]: Json }, place: string): number | bigint {
  const { sequence = state.sequence_id, sequence_id = sequence } = state
  const whole = typeof sequence === 'bigint' || (typeof sequence === 'number' && Number.isInteger(sequence))
  if (whole && sequence === sequence_id && sequence >= 0) return sequence
  throw corrupt(place, 'has no valid sequence number')
}

function decodeText(bytes: Uint8Array, place: string): string {
  if (bytes.length === 0) throw corrupt(place, 'is empty')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw corrupt(place, 'is not text')
  }
}

function parseObject(text: string, place: string): { readonly [name: string]: Json } {
  let value: Json
  try {
    value = parse(text)
  } catch {
    throw corrupt(place, 'is torn or is not a checkpoint')
  }
  if (!isObject(value)) throw corrupt(place, 'is not a checkpoint')
  return value
}

/** Text or number. The text alternative comes first, so that digits inside texts are skipped. */
const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const bigintMark = '\u0000bigint'

/** Integers that a number cannot hold become bigints. */
function parse(text: string): Json {
  const marked = text.replace(token, (found) =>
    /^-?\d{16,}$/.test(found) && !Number.isSafeInteger(Number(found)) ? `{"\\u0000bigint":"${found}"}` : found,
  )
  return JSON.parse(marked, (_, value: Json) => {
    const digits = isObject(value) ? value[bigintMark] : undefined
    return typeof digits === 'string' ? BigInt(digits) : value
  })
}

function stringify(value: Json): string {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Decimal || typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isArray(value)) return `[${value.map(stringify).join()}]`
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined)
  return `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${stringify(entry)}`).join()}}`
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Decimal)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
