/** Who runs a pipeline now: an advisory lock that a session of its own holds, and that ends with that session. */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../../core/errors.js'
import type { LeaseOptions } from '../../core/source.js'
import type { Connections } from './connections.js'
import type { Session } from './session.js'

/** What others see of the session that holds the lock. */
interface Holder {
  readonly pid: number
  /** When its connection began, ISO 8601. */
  readonly since: string
}

const limits = {
  /** A process that was killed has a session for a moment longer. */
  waitMsMax: 3_000,
  pollMs: 50,
  /** Between two tries to take the lock again, after its session was lost. */
  renewMs: 1_000,
}

/** So that the lock of a machine that is gone is gone within half a minute. */
const keepAliveSql = 'set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3'

const keySql = '$1::pg_catalog.int8'

/** Behind a pooler that hands out sessions by the transaction, only an open transaction keeps one. It holds no snapshot. */
const locks = {
  session: `select pg_catalog.pg_try_advisory_lock(${keySql})`,
  transaction: `select pg_catalog.pg_try_advisory_xact_lock(${keySql})`,
} as const

const holderSql = `
select l.pid, pg_catalog.to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8 = ${keySql}`

const endOneSql = 'select pg_catalog.pg_terminate_backend($1::pg_catalog.int4)'

/** The sessions of other runs of this pipeline, wherever they are: what a frozen one has locked keeps applications waiting. */
const endOthersSql = `
select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
  and pg_catalog.starts_with(a.application_name, $1) and a.application_name <> $2`

/** What the sessions of one run of a pipeline are called. */
export function runName(id: string): string {
  return `${pipelineName(id)}${randomUUID().slice(0, 8)}`
}

function pipelineName(id: string): string {
  return `surreal-sync ${createHash('sha256').update(id).digest('hex').slice(0, 8)}.`
}

export class PipelineLease implements AsyncDisposable {
  readonly #connections: Connections
  readonly #id: string
  readonly #options: LeaseOptions
  readonly #ended = new AbortController()
  #session: Session | undefined
  /** Of this lease's own session, also when it is lost. */
  #own: Holder | undefined

  private constructor(connections: Connections, id: string, options: LeaseOptions) {
    this.#connections = connections
    this.#id = id
    this.#options = options
  }

  /** @throws SyncError `E_LEASE_HELD` */
  static async take(connections: Connections, id: string, options: LeaseOptions): Promise<PipelineLease> {
    const lease = new PipelineLease(connections, id, options)
    const deadline = performance.now() + limits.waitMsMax
    let ended: number | undefined
    for (;;) {
      const holder = await lease.#try()
      if (holder === undefined) return lease
      if (options.takeover && holder.pid !== ended)
        await lease.#end(endOthersSql, [pipelineName(id), connections.applicationName])
      ended = holder.pid
      if (performance.now() < deadline) await sleep(limits.pollMs, undefined, { signal: options.signal })
      else if (!options.takeover) throw held(id, holder)
      else {
        // Whoever has it cannot be ended from here, but will write nothing any more.
        void lease.#renew(holder)
        return lease
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    const session = this.#session
    this.#session = undefined
    if (session === undefined) return
    // The next run may begin at once, and need not wait until the server has noticed that the session ended.
    await session
      .run('giving up the lease', 'rollback; select pg_catalog.pg_advisory_unlock_all()')
      .catch(() => undefined)
    session.destroy()
  }

  /** Returns who has the lock. `undefined`: this lease. */
  async #try(): Promise<Holder | undefined> {
    const session = await this.#connections.session()
    try {
      const holder = await this.#lock(session)
      if (holder !== undefined && !this.#ended.signal.aborted) session.release()
      else if (holder !== undefined) session.destroy()
      return holder
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  async #lock(session: Session): Promise<Holder | undefined> {
    const doing = 'looking whether the pipeline runs elsewhere'
    const key = keyOf(this.#id)
    const [self] = await session.rows(doing, 'select pg_catalog.pg_backend_pid()')
    const pid = Number(self?.[0])
    // A pooler names processes of its own.
    const pooled = Reflect.get(session.client, 'processID') !== pid
    if (pooled) await session.begin('look')
    else await session.run(doing, keepAliveSql)
    const [answer] = await session.rows(doing, pooled ? locks.transaction : locks.session, [key])
    if (answer?.[0] === 't') {
      // A statement with parameters keeps its snapshot in a transaction until there is another one.
      if (pooled) await session.run(doing, 'select')
      this.#hold(session, pid)
      return undefined
    }
    const [row] = await session.rows(doing, holderSql, [key])
    if (pooled) await session.commit()
    return { pid: Number(row?.[0] ?? 0), since: row?.[1] ?? '' }
  }

  #hold(session: Session, pid: number): void {
    this.#session = session
    this.#own = { pid, since: '' }
    session.client.once('end', () => {
      if (this.#session !== session || this.#ended.signal.aborted) return
      this.#session = undefined
      session.destroy()
      void this.#renew(this.#own)
    })
  }

  /**
   * Takes the lock again, as soon as it can be had.
   * @param expected Who may have it: this lease's own session, of which the server has not noticed that it is lost, or
   *   the run that was taken over. Anybody else has begun meanwhile.
   */
  async #renew(expected: Holder | undefined): Promise<void> {
    const { signal } = this.#ended
    for (;;) {
      // Not at once: whoever ended this session in order to take over comes first.
      await sleep(limits.renewMs, undefined, { signal, ref: false }).catch(() => undefined)
      if (signal.aborted) return
      try {
        const holder = await this.#try()
        if (holder === undefined) {
          if (signal.aborted) await this[Symbol.asyncDispose]()
          else this.#options.doubted()
          return
        }
        if (holder.pid !== 0 && holder.pid !== expected?.pid) {
          this.#options.lost(lost(this.#id))
          return
        }
        if (holder.pid === this.#own?.pid) await this.#end(endOneSql, [holder.pid])
      } catch {
        // The server is away. That a run writes alone does not hang on this.
      }
    }
  }

  /** The same role may do that. */
  async #end(sql: string, values: readonly unknown[]): Promise<void> {
    await this.#connections
      .use((session) => session.rows('ending the sessions of another run', sql, values))
      .catch(() => undefined)
  }
}

/** Whether a run of this pipeline holds its lease. */
export async function isRunning(session: Session, id: string): Promise<boolean> {
  const rows = await session.rows('looking whether the pipeline runs', holderSql, [keyOf(id)])
  return rows.length > 0
}

/** 64 bits, as PostgreSQL counts them. */
function keyOf(id: string): string {
  return createHash('sha256').update(`surreal-sync pipeline ${id}`).digest().readBigInt64BE(0).toString()
}

function held(id: string, { pid, since }: Holder): SyncError {
  const where = pid === 0 ? '' : `, as session ${pid} of PostgreSQL${since === '' ? '' : ` since ${since}`}`
  return new SyncError('E_LEASE_HELD', `The pipeline ${id} is already running${where}`, {
    hint: 'Leave it running, or stop it first. If it hangs, end it from here with `takeover`; for another target, choose another `id`.',
  })
}

function lost(id: string): SyncError {
  return new SyncError('E_LEASE_LOST', `Another run took over the pipeline ${id}`, {
    hint: 'This run has stopped and changes nothing any more. Do not start it again while the other one runs.',
  })
}
