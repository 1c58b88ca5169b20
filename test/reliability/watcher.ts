/** Reads the target all the time, and says whenever it sees what the source never was, or what is older than before. */
import { setTimeout as pause } from 'node:timers/promises'
import { RecordId } from 'surrealdb'
import { openTarget, type Target } from '../e2e/target.js'
import { constants } from './ledger.js'

export interface WatcherCounts {
  /** Each is one statement, and so one state of the target. */
  reads: number
  /** Of them with `consistent` = true. */
  consistentReads: number
  /** A sum, a token or half of a transaction that the source never showed, at `consistent` = true. */
  impossibleStates: number
  /** Rows seen in an older version than before. */
  olderVersions: number
  /** Lists that did not begin with what was seen of them before. */
  brokenLists: number
}

interface Seen {
  readonly consistent: boolean | null
  readonly balances: readonly number[]
  readonly tokens: readonly number[]
  readonly bulk: readonly number[]
  readonly versions: readonly { readonly key: number; readonly ver: number }[]
  readonly lists: readonly { readonly key: number; readonly items: readonly number[] }[]
}

const query = `RETURN {
  consistent: (SELECT VALUE consistent FROM ONLY $state),
  balances: (SELECT VALUE balance FROM accounts),
  tokens: (SELECT VALUE token FROM slots),
  bulk: (SELECT VALUE n FROM bulk:1..20),
  versions: (SELECT record::id(id) AS key, ver FROM versions),
  lists: (SELECT record::id(id) AS key, items FROM lists WHERE record::id(id) >= $from)
}`
const failuresMax = 50
const answerMsMax = 5_000

export class Watcher implements AsyncDisposable {
  readonly counts: WatcherCounts = {
    ...{ reads: 0, consistentReads: 0, impossibleStates: 0, olderVersions: 0, brokenLists: 0 },
  }
  readonly failures: string[] = []
  readonly #options: WatcherOptions
  readonly #versions = new Map<number, number>()
  readonly #lists = new Map<number, readonly number[]>()
  readonly #stop = new AbortController()
  readonly #working: Promise<void>

  constructor(options: WatcherOptions) {
    this.#options = options
    this.#working = this.#work()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#working
  }

  /** The target's process may be gone, and its tables not be there yet: it tries again. */
  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const opening = openTarget(this.#options.url)
      try {
        const target = await inTime(opening)
        while (!this.#stop.signal.aborted) {
          this.#judge(await inTime(this.#look(target)))
          await pause(this.#options.everyMs)
        }
      } catch {
        await pause(this.#options.everyMs)
      } finally {
        // Nobody waits: what was asked over a connection that was cut may never settle.
        opening.then(({ db }) => db.close()).catch(() => undefined)
      }
    }
  }

  async #look({ db }: Target): Promise<Seen> {
    const [seen] = await db.query<[Seen]>(query, {
      state: new RecordId('surreal_sync_state', [this.#options.id, 0]),
      from: this.#options.firstList(),
    })
    return seen
  }

  #judge({ consistent, balances, tokens, bulk, versions, lists }: Seen): void {
    this.counts.reads += 1
    for (const { key, ver } of versions) {
      const before = this.#versions.get(key) ?? 0
      if (ver < before) this.#tell('olderVersions', `the row ${key} went from version ${before} to ${ver}`)
      this.#versions.set(key, ver)
    }
    for (const { key, items } of lists) {
      const before = this.#lists.get(key) ?? []
      if (!isPrefix(before, items)) {
        this.#tell('brokenLists', `the list ${key} went from ${before.join(' ')} to ${items.join(' ')}`)
      }
      this.#lists.set(key, items)
    }
    if (consistent !== true) return
    this.counts.consistentReads += 1
    const total = balances.reduce((sum, balance) => sum + balance, 0)
    const wanted = constants.accounts * constants.balance
    if (total !== wanted) this.#tell('impossibleStates', `the accounts had ${total}, not ${wanted}`)
    if (new Set(tokens).size !== constants.slots || tokens.length !== constants.slots) {
      this.#tell('impossibleStates', `${tokens.length} slots had ${new Set(tokens).size} tokens`)
    }
    if (new Set(bulk).size !== 1) this.#tell('impossibleStates', `half of an update was seen: ${bulk.join(' ')}`)
  }

  #tell(kind: 'impossibleStates' | 'olderVersions' | 'brokenLists', what: string): void {
    this.counts[kind] += 1
    if (this.failures.length < failuresMax) this.failures.push(`A reader of the target saw that ${what}.`)
  }
}

export interface WatcherOptions {
  /** The address of the target; the same after it has been killed. */
  readonly url: string
  /** The pipeline. */
  readonly id: string
  readonly everyMs: number
  /** Lists before this one are not looked at any more. */
  readonly firstList: () => number
}

/** @throws if it takes as long as no answer takes */
async function inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const timer = new AbortController()
  const late = pause(answerMsMax, undefined, { signal: timer.signal }).then(() => {
    throw new Error('There was no answer.')
  })
  late.catch(() => undefined) // aborted, or seen through the race
  try {
    return await Promise.race([answer, late])
  } finally {
    timer.abort()
  }
}

function isPrefix(before: readonly number[], after: readonly number[]): boolean {
  return before.length <= after.length && before.every((item, index) => item === after[index])
}
