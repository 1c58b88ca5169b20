/** How far a reader of the audit table has come. */
import type { Position } from '../../core/checkpoint.js'
import type { GapTracker } from './gap-tracker.js'
import type { HeldTables } from './held-tables.js'
import { type AuditPosition, encode, type SourceIdentity } from './position.js'

export interface ProgressOptions {
  readonly tracker: GapTracker
  readonly held: HeldTables
  readonly identity: SourceIdentity
  readonly incarnation: string | undefined
  readonly anchor: AuditPosition['anchor']
  /** What each table is now, for positions. */
  readonly structures: () => Readonly<Record<string, string>>
}

export class Progress {
  readonly tracker: GapTracker
  readonly held: HeldTables
  readonly #options: ProgressOptions
  #anchor: AuditPosition['anchor']

  constructor(options: ProgressOptions) {
    this.tracker = options.tracker
    this.held = options.held
    this.#options = options
    this.#anchor = options.anchor
  }

  /** N: everything up to this number has been applied, of all tables. */
  get sequence(): number {
    return Math.min(this.tracker.sequence, this.held.lowest ?? Number.POSITIVE_INFINITY)
  }

  /** Which audit table this is about. */
  get incarnation(): string | undefined {
    return this.#options.incarnation
  }

  /** A row was applied: it must still be there when somebody continues from here. */
  anchorAt(sequence: number, transaction: string): void {
    if (this.#anchor === undefined || sequence > this.#anchor[0]) this.#anchor = [sequence, transaction]
  }

  /** The exact state, to check a server against. */
  get state(): AuditPosition {
    const { identity, incarnation, structures } = this.#options
    const { sequence } = this
    // What is held back has been seen: to read it again, whoever starts here must see it again.
    const held = this.held.tables.size > 0
    return {
      sequence,
      highest: held ? sequence : this.tracker.highest,
      gaps: held ? [] : this.tracker.gaps.map(({ low, high }) => [low, high] as const),
      identity,
      ...(incarnation === undefined ? {} : { incarnation }),
      ...(this.#anchor === undefined ? {} : { anchor: this.#anchor }),
      structures: structures(),
      at: new Date().toISOString(),
    }
  }

  position(): Position {
    return encode(this.state)
  }
}
