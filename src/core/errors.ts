/** The one error class, with stable codes. */

/** Codes and whether trying again can help. The only table of that kind. */
const codes = {
  /** An option, flag or variable is missing or wrong. */
  E_CONFIG: false,
  /** Nobody answers at the address. */
  E_UNREACHABLE: true,
  /** The connection was lost, or the answer did not come in time. */
  E_CONNECTION_LOST: true,
  /** A conflict or a shortage that passes by itself. */
  E_BUSY: true,
  /** Wrong name or password. */
  E_AUTH: false,
  /** The function that gets the password failed. */
  E_PASSWORD: true,
  /** TLS is not offered, or the certificate is not trusted. */
  E_TLS: false,
  /** The role lacks a right. */
  E_RIGHTS: false,
  /** The database named does not exist. */
  E_UNKNOWN_DATABASE: false,
  /** A table named in the options does not exist. */
  E_UNKNOWN_TABLE: false,
  /** The table has neither a primary key nor another usable key. */
  E_TABLE_WITHOUT_KEY: false,
  /** A view, foreign, temporary or unlogged table. */
  E_UNSUPPORTED_TABLE: false,
  /** A lock was not granted within the time allowed, after all retries. */
  E_LOCK_TIMEOUT: true,
  /** The target table holds records that this pipeline did not write. */
  E_TARGET_NOT_EMPTY: false,
  /** Another cluster or database than the one the checkpoint was made with. */
  E_SOURCE_IDENTITY: false,
  /** The source went back in time: restored from a backup, or failed over to a standby that lacked changes. */
  E_SOURCE_REWOUND: false,
  /** Changes that were not yet applied are no longer in the audit table. */
  E_AUDIT_HOLE: false,
  /** The audit table passed its limit, and was removed from the source. */
  E_AUDIT_DETACHED: false,
  /** A capture trigger is missing or disabled. */
  E_TRIGGER_MISSING: false,
  /** The structure of a table changed in a way that needs a decision. */
  E_SCHEMA_CHANGED: false,
  /** A replicated table was dropped. */
  E_TABLE_GONE: false,
  /** Row level security would hide rows from the reader. */
  E_RLS_FILTERED: false,
  /** The same pipeline runs elsewhere. */
  E_LEASE_HELD: false,
  /** Another run took this pipeline over. */
  E_LEASE_LOST: false,
  /** The checkpoint cannot be read. */
  E_CHECKPOINT_CORRUPT: false,
  /** The checkpoint belongs to another pipeline or source. */
  E_CHECKPOINT_FOREIGN: false,
  /** A position was asked for that this run cannot start from. */
  E_CHECKPOINT_MISMATCH: false,
  /** The target's state record is missing. */
  E_STATE_MISSING: false,
  /** The target accepted a write without doing it. */
  E_WRITE_NOT_APPLIED: false,
  /** The target refuses a row. */
  E_POISON_ROW: false,
  /** A row is larger than `maxRowBytes`. */
  E_ROW_TOO_LARGE: false,
  /** A value cannot be represented, and the options say to stop. */
  E_VALUE: false,
  /** The other side sent something that its protocol does not allow. */
  E_SOURCE_PROTOCOL: false,
  E_TARGET_PROTOCOL: false,
  /** Two source tables would map to one target table. */
  E_NAME_COLLISION: false,
  /** A package that this use needs is not installed. */
  E_MISSING_PACKAGE: false,
  /** Retryable errors went on for longer than the policy allows. The cause is the last of them. */
  E_RETRY_EXHAUSTED: false,
  /** A database refused a statement for another reason. */
  E_SOURCE: false,
  E_TARGET: false,
} as const satisfies Record<string, boolean>

/** The stable name of a kind of failure: what a program may branch on. */
export type SyncErrorCode = keyof typeof codes

/** What a {@link SyncError} is about. */
export interface SyncErrorDetails {
  readonly table?: string
  readonly column?: string
  /** What to do about it: one sentence. */
  readonly hint?: string
  readonly cause?: unknown
}

/**
 * An operating error. `message` is one sentence that says what happened and to what; `details.hint` says what to do.
 * Neither contains a cell value, a password or a URL with credentials. Nor does a `cause` that came from the driver of a source, sink or checkpoint
 * store: of those only names, codes and places in code are kept. What a function of the caller's threw is the `cause` as it is.
 */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: SyncErrorCode
  readonly details: Omit<SyncErrorDetails, 'cause'>

  constructor(code: SyncErrorCode, message: string, details: SyncErrorDetails = {}) {
    const { cause, ...rest } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = rest
  }

  /** Whether the same thing may succeed later. */
  get retryable(): boolean {
    return codes[this.code]
  }
}

/** Whether a position is worth nothing any more, and a full sync that begins again repairs that. */
export function isOutdated(error: unknown): error is SyncError {
  return error instanceof SyncError && outdated.has(error.code)
}

const outdated: ReadonlySet<SyncErrorCode> = new Set(['E_AUDIT_HOLE', 'E_SOURCE_REWOUND', 'E_SOURCE_IDENTITY'])
