/** The engine: moves batches from a source to a sink, phase by phase. */
import type { Key } from '../core/batch.js'
import type { Checkpoint, Position } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { Phase, SyncWarning } from '../core/events.js'
import type { Table } from '../core/schema.js'
import type { Sink } from '../core/sink.js'
import type { RunContext, Source } from '../core/source.js'
import { isCopied, type Stored } from './checkpoints.js'
import { runFull } from './full.js'
import { runIncremental } from './incremental.js'
import { IsolatingEmitter } from './isolating-emitter.js'
import { nameOf } from './name-of.js'
import { type EngineSettings, type SyncEngineOptions, settle } from './options.js'
import { Run, type TableResult } from './run.js'

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

export interface RunResult {
  /** `completed`: there was nothing more to do. `aborted`: the signal asked to stop. */
  readonly reason: 'completed' | 'aborted'
  /** The last phase entered. */
  readonly phase: Phase
  /** By table label (`public.users`). */
  readonly tables: ReadonlyMap<string, Readonly<TableResult>>
  /** The newest durable position, in the source's public form. */
  readonly position: string | undefined
  readonly durationMs: number
}

/** What a run would do. */
export interface Plan {
  readonly phases: readonly Phase[]
  readonly tables: readonly Table[]
  /** Where the incremental phase would start, in the source's public form. Undefined: after the full phase. */
  readonly from: string | undefined
}

/**
 * Replicates the tables of a source into a sink. Emits {@link SyncEvents}; there is no `error` event, `run()` rejects.
 * Every listener is called whatever the others do: one that throws or rejects causes one warning (`listener_failed`), and
 * the run goes on. Listeners are not waited for.
 *
 * @example
 * ```ts
 * const engine = new SyncEngine({ source, sink, checkpoints: new FileCheckpointStore('.surreal-sync-checkpoints') })
 * engine.on('checkpoint', ({ text, lagMs }) => console.log(text, lagMs))
 * await engine.run({ follow: true, signal: shutdown.signal })
 * ```
 */
export class SyncEngine extends IsolatingEmitter {
  readonly #settings: EngineSettings
  #running = false

  /** Checks the options and does nothing else. @throws SyncError `E_CONFIG` */
  constructor(options: SyncEngineOptions) {
    super()
    this.#settings = settle(options)
  }

  /**
   * Opens source and sink, runs, and closes both again. One run at a time.
   * @throws SyncError, and nothing else that is not a bug
   */
  async run(options: RunOptions = {}): Promise<RunResult> {
    const startedAt = performance.now()
    const run = this.#run(options)
    let phase: Phase = options.phase ?? 'full'
    const finished = (reason: RunResult['reason']): RunResult => ({
      reason,
      phase,
      tables: run.tables,
      position: run.position === undefined ? undefined : this.#settings.source.describe(run.position).text,
      durationMs: Math.round(performance.now() - startedAt),
    })
    try {
      return await this.#opened(options, async () => {
        const { phases, from, captured, tables } = await this.#checked(run, options)
        let after = from
        if (phases.includes('full')) after = (await runFull(run, tables, captured)).start
        if (phases.includes('incremental') && after !== undefined) {
          phase = 'incremental'
          const until = options.until === undefined ? undefined : this.#settings.source.parse(options.until)
          run.position ??= after
          run.position = await runIncremental(run, tables, {
            ...options,
            after,
            until,
            follow: options.follow ?? false,
          })
        }
        return finished('completed')
      })
    } catch (error) {
      if (isStop(error, options.signal)) return finished('aborted')
      throw error
    }
  }

  /** Connects to both sides, checks what can be checked without changing anything, and says what `run` would do. */
  plan(options: RunOptions = {}): Promise<Plan> {
    const run = this.#run(options)
    return this.#opened(options, async () => {
      const { phases, from, tables } = await this.#checked(run, options)
      return { phases, tables, from: from === undefined ? undefined : this.#settings.source.describe(from).text }
    })
  }

  #run({ signal }: RunOptions): Run {
    return new Run(this.#settings, (event, ...payload) => this.emit(event, ...payload), signal)
  }

  async #opened<T>(options: RunOptions, work: () => Promise<T>): Promise<T> {
    if (this.#running) throw new SyncError('E_CONFIG', 'This engine is already running')
    const { source, sink, id } = this.#settings
    const context: RunContext = {
      syncId: id,
      signal: options.signal,
      warn: (warning: SyncWarning) => this.emit('warning', warning),
    }
    this.#running = true
    try {
      options.signal?.throwIfAborted()
      refuseUnused(options)
      if (options.reread !== undefined && (options.phase !== 'incremental' || source.reread === undefined)) {
        throw new SyncError(
          'E_CONFIG',
          '`reread` needs the incremental phase alone, and a source that finds rows by keys',
        )
      }
      if (options.from !== undefined) source.parse(options.from)
      if (options.until !== undefined) source.parse(options.until)
      await source.open?.(context)
      await sink.open?.(context)
      return await work()
    } finally {
      await this.#close(source)
      await this.#close(sink)
      this.#running = false
    }
  }

  /** Neither may throw. If one does, the other must be closed all the same, and the run's own end must not be hidden. */
  async #close(side: Source | Sink): Promise<void> {
    try {
      await side.close?.()
    } catch (error) {
      this.emit('warning', { code: 'close_failed', message: `${side.name} could not be closed (${nameOf(error)})` })
    }
  }

  /** Asks everybody what could be in the way, before anything is written anywhere. */
  async #checked(run: Run, options: RunOptions): Promise<Start & { readonly tables: readonly Table[] }> {
    const { source, sink } = this.#settings
    const { signal } = options
    const start = await this.#start(run, options)
    const { phase, captured, from } = start
    const tables = await source.tables({ signal })
    const capture = { captured: captured && phase === 'full', after: from, signal }
    await run.retrying(async () => source.check?.(tables, capture))
    await run.retrying(async () => sink.check?.(tables, { phase, signal }))
    return { ...start, tables }
  }

  async #start(run: Run, options: RunOptions): Promise<Start> {
    const { checkpoints, id } = this.#settings
    // Also where the full phase does not need it: a store that is of no use must not be found out after triggers are there.
    const stored = await run.retrying(() => checkpoints.load(id))
    await checkpoints.probe(id)
    const { phases, from } = this.#phases(options, stored)
    const captured = checkpoints.chosen || phases.includes('incremental')
    return { phases, phase: phases[0], from, captured }
  }

  #phases(options: RunOptions, { checkpoint: stored, followed, missing }: Stored): Pick<Start, 'phases' | 'from'> {
    const { source, id } = this.#settings
    if (options.phase === 'full') return { phases: ['full'], from: undefined }
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
    this.emit('warning', {
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

/** An option that would change nothing is a mistake of the caller's. @throws SyncError `E_CONFIG` */
function refuseUnused({ phase, from, until, replay = false, follow = false }: RunOptions): void {
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

/** What a run begins with. */
interface Start {
  readonly phases: readonly [Phase, ...Phase[]]
  /** The first of them. */
  readonly phase: Phase
  /** Where the incremental phase starts if the full one does not run before it. */
  readonly from: Position | undefined
  /** Whether changes are, or will be, captured. */
  readonly captured: boolean
}

function stateMissing(id: string): SyncError {
  return new SyncError('E_STATE_MISSING', `The target has nothing of pipeline ${id}, though it was copied there`, {
    hint: 'If the database was emptied or replaced, run a full sync again; to apply changes all the same, use `replay`.',
  })
}

/** Errors that only show that the run was asked to stop. */
function isStop(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false
  if (error === signal.reason) return true
  return error instanceof SyncError ? error.retryable : error instanceof Error && error.name === 'AbortError'
}
