/** Cycles of starting the command and killing it under load, in both phases, with faults of the databases in between. */
import { setTimeout as pause } from 'node:timers/promises'
import { RecordId } from 'surrealdb'
import type { Command, Ended } from '../e2e/command.js'
import { lastChange } from '../e2e/shop.js'
import { openTarget } from '../e2e/target.js'
import { Dice } from '../torture/schedule.js'
import { constants, createLedger, pages, Tellers } from './ledger.js'
import { compareLedger } from './ledger-comparison.js'
import { Place } from './place.js'
import { Watcher, type WatcherCounts } from './watcher.js'

export interface KillOptions {
  readonly seed: number
  readonly cycles: number
  /** Begin a new copy whenever so many cycles have passed; its first run is killed when a part of it is finished. */
  readonly copyEvery: number
  /** Begins no further cycle after so long. */
  readonly minutesMax?: number
  readonly log?: (line: string) => void
}

export interface KillReport {
  readonly cycles: number
  /** What was going on when it was killed. */
  readonly killed: { copying: number; betweenParts: number; following: number; beforeAnything: number }
  readonly faults: { postgresRestarts: number; targetKills: number; freezes: number }
  /** Runs that ended with 4 because a database was gone when they began. */
  readonly gaveUpAtItsStart: number
  /** Copies that went on where they had been. */
  readonly resumedCopies: number
  readonly comparisons: number
  readonly lost: number
  readonly doubled: number
  readonly reordered: number
  readonly differences: number
  readonly rowsCompared: number
  readonly appends: number
  readonly transactions: number
  readonly watcher: WatcherCounts
  readonly failures: readonly string[]
  readonly versions: Place['versions']
}

const id = 'ledger'
const limits = { delayMs: 1_500, compareEvery: 25, freezeMs: 1_000, readEveryMs: 60 }
const chunkCount = 4
/** Trying again later may help. */
const exitCodeOfLater = 4

/** What it has said, and at most how long after that it is killed. */
const moments = {
  started: { after: /./, delayMs: limits.delayMs },
  partCopied: { after: /: Copying public\.pages, \d of \d chunks?\n/, delayMs: 150 },
  resumed: { after: /: (Resuming full sync|Copying \d|Saved incremental checkpoint)/, delayMs: 300 },
  applied: { after: /: Saved incremental checkpoint/, delayMs: limits.delayMs },
}

export async function killCycles({
  seed,
  cycles,
  copyEvery,
  minutesMax = Number.POSITIVE_INFINITY,
  log = () => undefined,
}: KillOptions): Promise<KillReport> {
  await using place = await Place.open()
  await createLedger(place.source)
  await using tellers = await Tellers.begin(place.source, seed)
  await using watcher = new Watcher({
    ...{ url: place.target, id, everyMs: limits.readEveryMs },
    firstList: () => tellers.generation * constants.lists,
  })
  const series = new Series(place, tellers, new Dice(seed), copyEvery)
  const deadline = Date.now() + minutesMax * 60_000
  let done = 0
  for (let ends = false; !ends; ) {
    await series.cycle(done)
    done += 1
    ends = done === cycles || Date.now() > deadline
    if (!ends && done % limits.compareEvery !== 0) continue
    await series.compare()
    log(`${done} of ${cycles} cycles; ${JSON.stringify(series.counts)}; ${JSON.stringify(watcher.counts)}`)
    for (const failure of [...series.failures, ...watcher.failures]) log(failure)
  }
  const { counts, failures, verified } = series
  return {
    ...{ cycles: done, ...counts, ...verified, transactions: tellers.count, watcher: watcher.counts },
    failures: [...failures, ...watcher.failures],
    versions: place.versions,
  }
}

class Series {
  readonly failures: string[] = []
  readonly counts = {
    killed: { copying: 0, betweenParts: 0, following: 0, beforeAnything: 0 },
    faults: { postgresRestarts: 0, targetKills: 0, freezes: 0 },
    ...{ gaveUpAtItsStart: 0, resumedCopies: 0 },
  }
  readonly verified = {
    ...{ comparisons: 0, lost: 0, doubled: 0, reordered: 0, differences: 0, rowsCompared: 0, appends: 0 },
  }
  readonly #place: Place
  readonly #tellers: Tellers
  readonly #dice: Dice
  readonly #copyEvery: number
  #reached = 0
  /** Finished parts of the copy that was cut off. */
  #finished: readonly string[] = []
  #pagesBefore = 0

  constructor(place: Place, tellers: Tellers, dice: Dice, copyEvery: number) {
    this.#place = place
    this.#tellers = tellers
    this.#dice = dice
    this.#copyEvery = copyEvery
  }

  /** Starts it, disturbs it, kills it, and looks at what it left. */
  async cycle(number: number): Promise<void> {
    const copies = number % this.#copyEvery === 0
    if (copies) {
      this.#finished = []
      this.#pagesBefore = this.#tellers.pagesWritten
    }
    await using command = this.#start(copies && number > 0 ? ['--restart'] : [])
    const moment = this.#momentOf(number)
    await command.saw(moments[moment].after)
    // A delta of several parts, mostly.
    if (this.#dice.chance(0.75)) await this.#tellers.changeBulk()
    await pause((this.#dice.between(0, 1_000) / 1_000) * moments[moment].delayMs)
    const databaseWasGone = await this.#disturb(number % 10, command)
    command.kill('SIGKILL')
    const ended = await command.ended
    // A run that is only beginning does not wait for a database that is not there.
    if (databaseWasGone && ended.code === exitCodeOfLater) this.counts.gaveUpAtItsStart += 1
    else if (ended.signal !== 'SIGKILL') this.#fail(number, `it ended with ${ended.code}: ${lastLines(ended)}`)
    this.#checkResumption(ended.stderr)
    await this.#inspect(number)
  }

  #momentOf(number: number): keyof typeof moments {
    const turn = number % this.#copyEvery
    if (turn === 0) return 'partCopied'
    if (this.#dice.chance(0.2)) return 'started'
    return turn === 1 ? 'resumed' : 'applied'
  }

  /** Everything is applied while nobody writes; then both sides have to be equal. */
  async compare(): Promise<void> {
    await this.#tellers.rest()
    await using command = this.#start([])
    await command.appliedUpTo(await lastChange(this.#place.source))
    command.kill('SIGTERM')
    const ended = await command.ended
    if (ended.code !== 0) this.failures.push(`It did not end in peace: ${lastLines(ended)}`)
    this.#checkResumption(ended.stderr)
    this.#finished = []
    const { failures, rows, differences, appends, ...wrong } = await compareLedger(
      this.#place.source,
      this.#place.target,
    )
    const { verified } = this
    verified.comparisons += 1
    verified.rowsCompared += rows
    verified.differences += differences
    // Lists stay, and so does what went wrong with them.
    Object.assign(verified, { appends, ...wrong })
    this.failures.push(...failures)
    for (const [what, count] of Object.entries(wrong))
      if (count > 0) this.failures.push(`${count} appends were ${what}`)
    const state = await this.#state()
    if (state?.consistent !== true || state.part !== 0) this.failures.push('The state at rest is not consistent.')
    await this.#verify()
    await this.#tellers.newLists()
    this.#tellers.goOn()
  }

  /** What users have to see that both sides are equal. */
  async #verify(): Promise<void> {
    await using command = this.#place.start('verify', ['--id', id, '--at-rest'])
    const ended = await command.ended
    if (ended.code !== 0) this.failures.push(`verify ended with ${ended.code}: ${lastLines(ended)}`)
  }

  #start(flags: readonly string[]): Command {
    return this.#place.start('sync', ['--id', id, '--log-level', 'debug', '--concurrency', '1', ...flags])
  }

  /** Returns whether a database was gone meanwhile. */
  async #disturb(turn: number, command: Command): Promise<boolean> {
    const { faults } = this.counts
    if (turn === 3) {
      await this.#place.postgres.restart('immediate')
      faults.postgresRestarts += 1
    } else if (turn === 6) {
      await this.#place.killTarget()
      faults.targetKills += 1
    } else if (turn === 9) {
      command.kill('SIGSTOP')
      await pause(this.#dice.between(0, limits.freezeMs))
      if (this.#dice.chance(0.5)) command.kill('SIGCONT')
      faults.freezes += 1
    } else return false
    await pause(this.#dice.between(0, limits.delayMs))
    return turn !== 9
  }

  /** A run that says that it resumes a copy has every part that was finished, and copies none of them again. */
  #checkResumption(stderr: string): void {
    const resumed = /: Resuming full sync from .+: (\d+) of \d+ chunks? done\n/.exec(stderr)
    if (resumed === null) return
    this.counts.resumedCopies += 1
    if (Number(resumed[1]) !== this.#finished.length) {
      this.failures.push(`It resumed a copy with ${resumed[1]} finished parts, not ${this.#finished.length}.`)
    }
    const [, text] = /: Copied public\.pages: ([\d,]+) rows? /.exec(stderr) ?? []
    if (text === undefined) return
    const done = this.#finished.filter((entry) => entry.includes('public.pages')).length
    // Rows that were moved went to the end, which comes last.
    const moved = this.#tellers.pagesWritten - this.#pagesBefore
    const most = pages.rows - Math.min(done, chunkCount - 1) * pages.chunkRows + this.#tellers.pagesWritten + moved
    if (Number(text.replaceAll(',', '')) > most) this.failures.push(`It copied ${text} rows again, more than ${most}.`)
  }

  async #inspect(number: number): Promise<void> {
    const [state, { killed }] = [await this.#state(), this.counts]
    if (state === undefined) {
      killed.beforeAnything += 1
      return
    }
    if (state.sequence < this.#reached)
      this.#fail(number, `its position went from ${this.#reached} to ${state.sequence}`)
    this.#reached = state.sequence
    const finished = (state.completed ?? []).filter((entry) => !entry.endsWith('"replaced"]'))
    if (state.kind === 'full_progress' || state.kind === 'full_sync_start') killed.copying += 1
    else if (state.part > 0) killed.betweenParts += 1
    else killed.following += 1
    const gone = this.#finished.filter((entry) => !finished.includes(entry))
    if (state.kind === 'full_progress' && gone.length > 0) this.#fail(number, `it forgot finished parts of the copy`)
    this.#finished = state.kind === 'full_progress' ? finished : []
  }

  #fail(number: number, what: string): void {
    this.failures.push(`Cycle ${number + 1}: ${what}`)
  }

  async #state(): Promise<State | undefined> {
    await using target = await openTarget(this.#place.target)
    const [state] = await target.db.query<[State | undefined]>(
      `SELECT checkpoint.described.PostgreSQL.sequence AS sequence, checkpoint.kind AS kind, consistent, part,
        checkpoint.completed AS completed FROM ONLY $record`,
      { record: new RecordId('surreal_sync_state', [id, 0]) },
    )
    return state ?? undefined
  }
}

interface State {
  readonly sequence: number
  readonly kind: string
  readonly consistent: boolean
  readonly part: number
  readonly completed: readonly string[] | null
}

function lastLines({ stderr }: Ended): string {
  return stderr
    .split('\n')
    .filter((line) => /^(error|hint): |ERROR|WARN/.test(line))
    .slice(-3)
    .join(' ')
}
