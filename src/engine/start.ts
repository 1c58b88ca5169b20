/** Where a run begins: with which phase, and after which position. */
import type { Checkpoint, Position } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { Phase } from '../core/events.js'
import { isCopied, type Stored } from './checkpoints.js'
import type { EngineSettings } from './options.js'
import type { Emit } from './run.js'
import type { RunOptions } from './run-options.js'

export interface Beginning {
  readonly phases: readonly [Phase, ...Phase[]]
  /** Where the incremental phase starts if the full one does not run before it. */
  readonly from: Position | undefined
}

export class Start {
  readonly #settings: EngineSettings
  readonly #emit: Emit

  constructor(settings: EngineSettings, emit: Emit) {
    this.#settings = settings
    this.#emit = emit
  }

  /** @throws SyncError `E_STATE_MISSING`, `E_CHECKPOINT_MISMATCH` */
  of(options: RunOptions, { checkpoint: stored, followed, missing }: Stored): Beginning {
    const { source, id } = this.#settings
    if (options.phase === 'full') return { phases: ['full'], from: undefined }
    if (options.restart) return { phases: ['full', 'incremental'], from: undefined }
    const floor = options.from === undefined ? undefined : source.parse(options.from)
    if (floor !== undefined && options.replay) return { phases: ['incremental'], from: floor }
    if (missing) throw stateMissing(id)
    if (stored !== undefined && followed !== undefined) this.#compare(stored, followed)
    if (floor !== undefined) return { phases: ['incremental'], from: this.#atLeast(floor, stored) }
    if (stored !== undefined && isCopied(stored)) return { phases: ['incremental'], from: stored.resumeAfter }
    if (options.phase === undefined) return { phases: ['full', 'incremental'], from: undefined }
    throw new SyncError('E_STATE_MISSING', `There is no finished full sync of pipeline ${id} to continue from`, {
      hint: 'Run a full sync with `checkpoints` first, or say where to start with `from`.',
    })
  }

  /** A target that was restored from a backup has rows and checkpoint of that time: what came after is applied again. */
  #compare(stored: Checkpoint, followed: Checkpoint): void {
    const { source } = this.#settings
    if (!isCopied(stored) || !isCopied(followed)) return
    if (source.compare(stored.resumeAfter, followed.resumeAfter) >= 0) return
    const [has, had] = [stored, followed].map(({ resumeAfter }) => source.describe(resumeAfter).text)
    this.#emit('warning', {
      code: 'target_behind',
      message: `The target is at ${has} again, after it had been at ${had}: changes since then are applied once more`,
    })
  }

  /** The stored position, unless it is before the floor. */
  #atLeast(floor: Position, stored: Checkpoint | undefined): Position {
    const { source, id } = this.#settings
    if (stored === undefined) return floor
    if (!isCopied(stored)) {
      throw new SyncError('E_CHECKPOINT_MISMATCH', `The last full sync of pipeline ${id} did not finish`, {
        hint: 'Run the full sync again, or start there on purpose with `replay`.',
      })
    }
    if (source.compare(stored.resumeAfter, floor) >= 0) return stored.resumeAfter
    const [has, asked] = [stored.resumeAfter, floor].map((position) => source.describe(position).text)
    throw new SyncError(
      'E_CHECKPOINT_MISMATCH',
      `Pipeline ${id} has applied changes up to ${has} only: starting at ${asked} would skip some`,
      {
        hint: `Start at ${has}, or start elsewhere on purpose with \`replay\`.`,
      },
    )
  }
}

function stateMissing(id: string): SyncError {
  return new SyncError('E_STATE_MISSING', `The target has nothing of pipeline ${id}, though it was copied there`, {
    hint: 'If the database was emptied or replaced, run a full sync again; to apply changes all the same, use `replay`.',
  })
}
