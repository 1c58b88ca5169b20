/** The same pipeline started twice, as processes, under load. Each returns what was wrong, in a sentence each. */

import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Command, Ended } from '../e2e/command.js'
import { observeTarget } from '../e2e/observe.js'
import { lastChange } from '../e2e/shop.js'
import { createLedger, Tellers } from './ledger.js'
import { compareLedger } from './ledger-comparison.js'
import { Place } from './place.js'

export type Moment = 'following' | 'copying'

const runMsMax = 300_000
const loadMs = 500
const patterns = {
  followed: /: Caught up with the source at /,
  moments: {
    following: /: Caught up with the source at /,
    copying: /: Copying public\.pages, 1 of \d chunks/,
  },
  held: /^error: .+ is already running.* \[E_LEASE_HELD\]\nhint: .+--takeover/m,
  lost: /^error: Another run took over .+ \[E_LEASE_LOST\]\n/m,
}

/** A pair of runs between two databases of their own. */
export class Twins implements AsyncDisposable {
  readonly failures: string[] = []
  readonly #place: Place
  readonly #tellers: Tellers

  private constructor(place: Place, tellers: Tellers) {
    this.#place = place
    this.#tellers = tellers
  }

  static async open(seed: number): Promise<Twins> {
    const place = await Place.open()
    await createLedger(place.source)
    return new Twins(place, await Tellers.begin(place.source, seed))
  }

  get versions(): Place['versions'] {
    return this.#place.versions
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tellers[Symbol.asyncDispose]()
    await this.#place[Symbol.asyncDispose]()
  }

  /** Starts without `--takeover` are refused, and disturb nothing; one with it ends the first run. */
  async refuseAndTakeOver(): Promise<void> {
    await using first = this.#start('sync')
    await first.saw(patterns.followed)
    for (const command of ['sync', 'full']) {
      await using refused = this.#start(command)
      this.#expectEnd(`A second ${command}`, await refused.ended, 5, patterns.held)
    }
    await pause(loadMs)
    await using second = this.#start('sync', '--takeover')
    this.#expectEnd('The first run', await first.ended, 5, patterns.lost)
    await pause(loadMs)
    await this.#finish(second)
  }

  /** A run that was frozen while another took over changes nothing when it wakes up. */
  async freezeAndTakeOver(moment: Moment, freezeMs: number): Promise<void> {
    await using frozen = this.#start('sync')
    await frozen.saw(patterns.moments[moment])
    if (moment === 'following') await pause(loadMs)
    frozen.kill('SIGSTOP')
    await using second = this.#start('sync', '--takeover')
    await second.saw(patterns.followed)
    await pause(freezeMs)
    await this.#tellers.rest()
    await second.appliedUpTo(await lastChange(this.#place.source))
    const before = await observeTarget(this.#place.target)
    frozen.kill('SIGCONT')
    this.#expectEnd('The frozen run', await frozen.ended, 5, patterns.lost)
    const after = await observeTarget(this.#place.target)
    if (!isDeepStrictEqual(after, before)) this.failures.push('The frozen run has changed the target.')
    this.#tellers.goOn()
    await pause(loadMs)
    await this.#finish(second)
  }

  /** Nothing of a killed run has to be waited for. */
  async startAfterKill(): Promise<void> {
    for (let turn = 0; turn < 2; turn += 1) {
      await using command = this.#start('sync')
      await command.saw(patterns.followed)
      command.kill('SIGKILL')
      await command.ended
    }
    await using last = this.#start('sync')
    await this.#finish(last)
  }

  #start(command: string, ...flags: readonly string[]): Command {
    const logged = ['--id', 'twins', '--log-level', 'debug', '--concurrency', '1']
    return this.#place.start(command, [...logged, ...flags], runMsMax)
  }

  #expectEnd(who: string, { code, stderr }: Ended, wanted: number, pattern: RegExp): void {
    if (code !== wanted) this.failures.push(`${who} ended with ${code}, not ${wanted}.`)
    if (!pattern.test(stderr)) this.failures.push(`${who} did not say ${pattern}.`)
  }

  /** The load stops, the run applies what is left and ends: both sides are equal. */
  async #finish(command: Command): Promise<void> {
    await this.#tellers.rest()
    await command.appliedUpTo(await lastChange(this.#place.source))
    command.kill('SIGTERM')
    this.#expectEnd('The run that was left', await command.ended, 0, /./)
    const { differences, failures } = await compareLedger(this.#place.source, this.#place.target)
    if (differences > 0) this.failures.push(...failures)
  }
}
