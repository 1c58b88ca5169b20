/** The connections of one source: opened on demand, kept for reuse, thrown away when anything is wrong with them. */
import type pg from 'pg'
import type { ConnectionSettings } from '../../connections/postgres/connection-settings.js'
import { Dial, destroy } from '../../connections/postgres/dial.js'
import type { SyncWarning } from '../../core/events.js'
import { Session, type SessionLimits } from './session.js'

const idleMax = 6

export interface ConnectionsOptions extends SessionLimits {
  /** What `pg_stat_activity` says of the sessions. @defaultValue `surreal-sync` */
  readonly applicationName?: string
}

export class Connections {
  readonly applicationName: string
  readonly #dial: Dial
  readonly #limits: SessionLimits
  readonly #idle: pg.Client[] = []
  #verify: ((session: Session) => Promise<void>) | undefined
  #closed = false

  constructor(settings: ConnectionSettings, warn: (warning: SyncWarning) => void, options: ConnectionsOptions = {}) {
    const { applicationName = 'surreal-sync', ...limits } = options
    this.applicationName = applicationName
    this.#limits = limits
    this.#dial = new Dial(settings, { applicationName, warn, onBroken: (client) => this.#forget(client) })
  }

  /** From now on every new connection must pass this before it is used: it may lead to another server. */
  verify(check: ((session: Session) => Promise<void>) | undefined): void {
    this.#verify = check
  }

  /** A session of its own until it is released. @throws SyncError */
  async session(): Promise<Session> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return this.#session(idle)
    const session = this.#session(await this.#dial.connect())
    try {
      await this.#verify?.(session)
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Runs work with a session. A session whose work failed is not used again. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.session()
    try {
      const result = await work(session)
      session.release()
      return result
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Closes what is idle. Sessions in use are closed when they are released. */
  async close(): Promise<void> {
    this.#closed = true
    const idle = this.#idle.splice(0)
    await Promise.all(idle.map((client) => client.end().catch(() => undefined)))
  }

  #session(client: pg.Client): Session {
    return new Session(client, (broken) => this.#release(client, broken), this.#limits)
  }

  #release(client: pg.Client, broken: boolean): void {
    if (!broken && !this.#closed && this.#idle.length < idleMax) this.#idle.push(client)
    else destroy(client)
  }

  #forget(client: pg.Client): void {
    const index = this.#idle.indexOf(client)
    if (index >= 0) this.#idle.splice(index, 1)
  }
}
