/** The engine: moves batches from a source to a sink, phase by phase. */
import type { Checkpoint } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { Phase, SyncWarning } from '../core/events.js'
import type { Table } from '../core/schema.js'
import { deletesOf } from '../core/shaping.js'
import type { Sink } from '../core/sink.js'
import type { RunContext, Source } from '../core/source.js'
import { runFull } from './full.js'
import { runIncremental } from './incremental.js'
import { IsolatingEmitter } from './isolating-emitter.js'
import { nameOf } from './name-of.js'
import { type EngineSettings, type SyncEngineOptions, settle } from './options.js'
import { Reporting } from './reporting.js'
import { type Emit, Run, type TableResult } from './run.js'
import { type RunOptions, refuseUnused } from './run-options.js'
import { type Beginning, Start } from './start.js'

export type { RunOptions } from './run-options.js'

/** What a run has done. */
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
  /** Whether the full phase would go on with one that was cut off. */
  readonly resumes: boolean
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
  async run(asked: RunOptions = {}): Promise<RunResult> {
    if (this.#running) throw alreadyRunning()
    const startedAt = performance.now()
    this.emit('start', { id: this.#settings.id })
    try {
      const { phase, tables, position, reason } = await this.#replicate(asked)
      const durationMs = Math.round(performance.now() - startedAt)
      this.emit('end', { reason, durationMs })
      return { reason, phase, tables, position, durationMs }
    } catch (error) {
      const code = error instanceof SyncError ? error.code : undefined
      this.emit('end', { reason: 'failed', code, durationMs: Math.round(performance.now() - startedAt) })
      throw error
    }
  }

  async #replicate(asked: RunOptions): Promise<Omit<RunResult, 'durationMs'>> {
    const fence = new AbortController()
    const signal = asked.signal === undefined ? fence.signal : AbortSignal.any([asked.signal, fence.signal])
    const options = { ...asked, signal }
    const reporting = new Reporting(this.#settings.source)
    const run = this.#run(options, reporting)
    let phase: Phase = options.phase ?? 'full'
    const finished = (reason: RunResult['reason']) => ({
      reason,
      phase,
      tables: run.tables,
      position: run.position === undefined ? undefined : this.#settings.source.describe(run.position).text,
    })
    try {
      return await this.#opened(options, async () => {
        await using _ = await this.#lease(run, options, fence)
        return await reporting.over(async () => {
          const { phases, from, captured, interrupted, tables } = await this.#checked(run, options)
          let after = from
          const { restart = false } = options
          if (phases.includes('full')) after = (await runFull(run, { tables, captured, interrupted, restart })).start
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
      })
    } catch (error) {
      if (isStop(error, asked.signal)) return finished('aborted')
      throw fence.signal.aborted ? fence.signal.reason : error
    }
  }

  /** Connects to both sides, checks what can be checked without changing anything, and says what `run` would do. */
  plan(options: RunOptions = {}): Promise<Plan> {
    const run = this.#run(options)
    return this.#opened(options, async () => {
      const { phases, from, tables, captured, interrupted } = await this.#checked(run, options)
      const { restart = false } = options
      const resumes = phases.includes('full') && captured && !restart && interrupted !== undefined
      return {
        phases,
        tables,
        from: from === undefined ? undefined : this.#settings.source.describe(from).text,
        resumes,
      }
    })
  }

  /** Before anything is looked at: what another run is changing is no ground to begin on. */
  async #lease(run: Run, { takeover = false, signal }: RunOptions, fence: AbortController) {
    const { source, sink } = this.#settings
    const lost = (error: SyncError) => fence.abort(error)
    const confirm = () => run.retrying(async () => sink.confirm?.({ signal }))
    const doubted = () =>
      void confirm().catch((error) => {
        // Of anything else the run's own writes will fail, too.
        if (error instanceof SyncError && error.code === 'E_LEASE_LOST') lost(error)
      })
    return run.retrying(async () => source.lease?.({ takeover, signal, doubted, lost }))
  }

  #run({ signal }: RunOptions, reporting?: Reporting): Run {
    const emit: Emit = (event, ...payload) => {
      reporting?.take(event, payload)
      this.emit(event, ...payload)
    }
    return new Run(this.#settings, emit, signal)
  }

  async #opened<T>(options: RunOptions, work: () => Promise<T>): Promise<T> {
    if (this.#running) throw alreadyRunning()
    const { source, sink, checkpoints, id } = this.#settings
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
      await checkpoints.open(context)
      return await work()
    } finally {
      await this.#close(source, source.name)
      await this.#close(sink, sink.name)
      await this.#close(checkpoints, 'the checkpoint store')
      this.#running = false
    }
  }

  /** None of them may throw. If one does, the others must be closed all the same, and the run's own end must not be hidden. */
  async #close(side: Pick<Source | Sink, 'close'>, name: string): Promise<void> {
    try {
      await side.close?.()
    } catch (error) {
      this.emit('warning', { code: 'close_failed', message: `${name} could not be closed (${nameOf(error)})` })
    }
  }

  /** Asks everybody what could be in the way, before anything is written anywhere. */
  async #checked(run: Run, options: RunOptions): Promise<Begun & { readonly tables: readonly Table[] }> {
    const { source, sink } = this.#settings
    const { signal } = options
    const start = await this.#start(run, options)
    const { phase, captured, from, interrupted } = start
    const tables = await run.retrying(() => source.tables({ signal }))
    refuseDisobedience(sink, tables)
    const copied = captured && phase === 'full'
    const since = copied && options.restart !== true ? interrupted?.resumeAfter : undefined
    await run.retrying(async () => source.check?.(tables, { captured: copied, after: from, since, signal }))
    await run.retrying(async () => sink.check?.(tables, { phase, signal }))
    return { ...start, tables }
  }

  async #start(run: Run, options: RunOptions): Promise<Begun> {
    const { checkpoints, id } = this.#settings
    // Also where the full phase does not need it: a store that is of no use must not be found out after triggers are there.
    const stored = await run.retrying(() => checkpoints.load(id))
    await checkpoints.probe(id)
    const { phases, from } = new Start(this.#settings, run.emit).of(options, stored)
    const captured = checkpoints.chosen || phases.includes('incremental')
    return { phases, phase: phases[0], from, captured, interrupted: stored.interrupted }
  }
}

function alreadyRunning(): SyncError {
  return new SyncError('E_CONFIG', 'This engine is already running')
}

/** @throws SyncError `E_CONFIG` */
function refuseDisobedience({ name, obeysDeletes = false }: Sink, tables: readonly Table[]): void {
  const table = obeysDeletes ? undefined : tables.find((it) => deletesOf(it) !== 'hard')
  if (table === undefined) return
  throw new SyncError('E_CONFIG', `The sink ${name} deletes rows of ${table.label} that are to stay`, {
    table: table.label,
    hint: 'Leave out `deletes`, or have the sink obey it and say so by `obeysDeletes`.',
  })
}

/** What a run begins with. */
interface Begun extends Beginning {
  /** The first phase. */
  readonly phase: Phase
  /** Whether changes are, or will be, captured. */
  readonly captured: boolean
  /** The full sync that was cut off. */
  readonly interrupted: Checkpoint | undefined
}

/** Errors that only show that the run was asked to stop. */
function isStop(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false
  if (error === signal.reason) return true
  return error instanceof SyncError ? error.retryable : error instanceof Error && error.name === 'AbortError'
}
