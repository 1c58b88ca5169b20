/** What one run is asked to do. */
import type { Key } from '../core/batch.js'
import { SyncError } from '../core/errors.js'
import type { Phase } from '../core/events.js'

/** `follow`, `from`, `replay` and `until` say what the incremental phase does: with the phase `full` they are refused. */
export interface RunOptions {
  /** `full` or `incremental` alone. @defaultValue full unless a checkpoint says that it is done, then incremental */
  readonly phase?: Phase
  /** Whether the incremental phase waits for further changes once it has caught up. @defaultValue false */
  readonly follow?: boolean
  /**
   * Where the incremental phase starts, in the source's public form (`postgresql:sequence:42`). A floor: a stored position
   * of this pipeline at or past it is where the run starts; one below it is refused, because changes would be skipped.
   */
  readonly from?: string
  /** Starts at `from` exactly, whatever is stored. Needs `from`. @defaultValue false */
  readonly replay?: boolean
  /**
   * Begins with the full phase, and that from the start: neither a finished copy counts nor one that was cut off, which
   * would be gone on with otherwise. @defaultValue false
   */
  readonly restart?: boolean
  /**
   * Begins although the same pipeline runs elsewhere. That run ends with `E_LEASE_LOST` and changes nothing any more.
   * @defaultValue false
   */
  readonly takeover?: boolean
  /** Ends the incremental phase at the first drained delta at or past this position. */
  readonly until?: string
  /**
   * Keys to read again at the source before its changes, by table label: rows that are there are written, others removed,
   * with the position as it is. Needs the phase `incremental`, and a source that has `reread`.
   */
  readonly reread?: ReadonlyMap<string, readonly Key[]>
  /** Stops the run: `run()` then resolves with `aborted` after open writes have settled. */
  readonly signal?: AbortSignal
}

/** An option that would change nothing is a mistake of the caller's. @throws SyncError `E_CONFIG` */
export function refuseUnused(options: RunOptions): void {
  const { phase, from, until, replay = false, follow = false, restart = false } = options
  if (restart && (phase === 'incremental' || from !== undefined)) {
    const what = phase === 'incremental' ? 'in a run of the incremental phase alone' : 'together with `from`'
    throw new SyncError('E_CONFIG', `\`restart\` means nothing ${what}`, { hint: 'Leave one of the two out.' })
  }
  if (replay && from === undefined) {
    throw new SyncError('E_CONFIG', '`replay` means nothing without a position', { hint: 'Say where with `from`.' })
  }
  if (phase !== 'full') return
  const given = Object.entries({ from, until, follow: follow || undefined }).find(([, value]) => value !== undefined)
  if (given === undefined) return
  throw new SyncError('E_CONFIG', `\`${given[0]}\` means nothing in a run of the full phase alone`, {
    hint: 'Leave it out, or leave out `phase`.',
  })
}
