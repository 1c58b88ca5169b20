/** Positions of the audit table: the bare number that users see, and the exact state behind it. */
import type { Position } from '../../core/checkpoint.js'
import { SyncError } from '../../core/errors.js'
import type { Json } from '../../core/value.js'

/** Which server and database a position belongs to. */
export interface SourceIdentity {
  /** `pg_control_system().system_identifier`, or null where the role may not read it. */
  readonly system: string | null
  /** The database's oid. */
  readonly database: number
  readonly timeline: number
}

/** The exact state behind a position. A bare number has nothing but `sequence`. */
export interface AuditPosition {
  /** N: every audit row up to this one has been applied. */
  readonly sequence: number
  /** M: the highest audit row applied. Equals N when there are no gaps. */
  readonly highest: number
  /** Ranges between N and M that have not been seen. */
  readonly gaps: readonly (readonly [low: number, high: number])[]
  readonly identity?: SourceIdentity
  /** Which audit table it is a number of. */
  readonly incarnation?: string
  /** A row that was in the audit table, by its number, and the transaction that wrote it. */
  readonly anchor?: readonly [sequence: number, transaction: string]
  /** What each table was when it was read last, by oid. */
  readonly structures?: Readonly<Record<string, string>>
  /** When it was taken, ISO 8601. */
  readonly at?: string
}

/** A position with more gaps than this is written without them: whoever starts there reads a little more again. */
const gapsMax = 100

const publicForm = /^(?:postgresql:)?(?:sequence:)?(\d{1,16})$/

/** Reads `postgresql:sequence:42`, `42`, and what {@link encode} writes. @throws SyncError `E_CONFIG` */
export function decode(text: string): AuditPosition {
  const match = publicForm.exec(text.trim())
  if (match !== null) {
    const sequence = Number(match[1])
    if (Number.isSafeInteger(sequence)) return { sequence, highest: sequence, gaps: [] }
  }
  const exact = text.startsWith('{') ? exactForm(text) : undefined
  if (exact !== undefined) return exact
  throw new SyncError('E_CONFIG', 'The position is neither a number nor of the form postgresql:sequence:N', {
    hint: 'Take it from a checkpoint file, for example postgresql:sequence:42.',
  })
}

export function encode(position: AuditPosition): Position {
  const short = position.gaps.length > gapsMax ? { ...position, highest: position.sequence, gaps: [] } : position
  // The brand's constructor.
  return JSON.stringify(short) as Position
}

/** The text for people and command lines. */
export function publicText({ sequence }: AuditPosition): string {
  return `postgresql:sequence:${sequence}`
}

/** The form in checkpoint files. `sequence_id` is an alias that older releases wrote. */
export function publicJson(position: AuditPosition): Json {
  const { sequence, highest, gaps, identity, at } = position
  return {
    PostgreSQL: {
      sequence,
      sequence_id: sequence,
      timestamp: at ?? new Date().toISOString(),
      ...(gaps.length === 0 ? {} : { highest, gaps: gaps.map(([low, high]) => [low, high]) }),
      ...(identity === undefined
        ? {}
        : { system_identifier: identity.system, database_oid: identity.database, timeline: identity.timeline }),
    },
  }
}

function exactForm(text: string): AuditPosition | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isAuditPosition(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function isAuditPosition(value: unknown): value is AuditPosition {
  if (!isObject(value)) return false
  const { sequence, highest, gaps, identity, incarnation, anchor, structures, at } = value
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(highest) || !Array.isArray(gaps)) return false
  if (!gaps.every((gap) => Array.isArray(gap) && gap.length === 2 && gap.every(Number.isSafeInteger))) return false
  if (identity !== undefined && !isIdentity(identity)) return false
  if (![incarnation, at].every((text) => text === undefined || typeof text === 'string')) return false
  if (anchor !== undefined && !isAnchor(anchor)) return false
  if (structures === undefined) return true
  return isObject(structures) && Object.values(structures).every((text) => typeof text === 'string')
}

function isIdentity(value: unknown): value is SourceIdentity {
  if (!isObject(value)) return false
  const { system, database, timeline } = value
  return (system === null || typeof system === 'string') && Number.isInteger(database) && Number.isInteger(timeline)
}

function isAnchor(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && Number.isSafeInteger(value[0]) && typeof value[1] === 'string'
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
