/** What a network, a machine or an administrator does to a run, one after the other. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from '../e2e/command.js'
import { execute } from '../e2e/shop.js'
import type { Place } from './place.js'

const lastsMs = 2_000
/** In the text of every transaction of the sink. */
const applies = 'wrote = $wrote'

type Disturb = (place: Place, command: Command) => Promise<unknown>

const disturbances: Readonly<Record<string, Disturb>> = {
  connectionsCut: ({ surreal }) => surreal.cutAll(),
  requestCut: ({ surreal }) => surreal.fault({ when: 'before', action: 'cut', matching: applies }),
  answerCut: ({ surreal }) => surreal.fault({ when: 'after', action: 'cut', matching: applies }),
  blackHole: async ({ surreal }) => {
    await surreal.pause()
    await pause(lastsMs)
    await surreal.resume()
  },
  targetKilled: (place) => place.killTarget(),
  sessionsEnded: ({ source }) =>
    execute(
      source,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
    ),
  postgresCrashed: ({ postgres }) => postgres.restart('immediate'),
  frozen: async (_, command) => {
    command.kill('SIGSTOP')
    await pause(lastsMs)
    command.kill('SIGCONT')
  },
}

/** How often each has happened. */
export class SoakFaults {
  readonly counts: Record<string, number> = {}
  readonly #names = Object.keys(disturbances)
  #turn = 0

  /** Does the next one. */
  async next(place: Place, command: Command): Promise<string> {
    const name = this.#names[this.#turn % this.#names.length] ?? ''
    this.#turn += 1
    await disturbances[name]?.(place, command)
    this.counts[name] = (this.counts[name] ?? 0) + 1
    return name
  }
}
