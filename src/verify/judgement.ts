/** Looks at single rows on both sides until it is certain whether they are the same. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { Abortable } from '../core/source.js'
import type { SourceAccess, TargetAccess } from './sides.js'
import type { ExpectedRecord } from './source-reader.js'
import { printValue, type SurrealValue } from './surreal-value.js'
import type { Sides, TablePair } from './table-comparison.js'
import type { FoundRecord } from './target-reader.js'

/** A row that is not the same on both sides. With its content, which must not leave the process. */
export interface Verdict {
  /** `moving`: it changed each time it was looked at. */
  readonly kind: 'missing' | 'extra' | 'different' | 'moving'
  readonly key: SurrealValue
  readonly expected: ExpectedRecord | undefined
  readonly found: FoundRecord | undefined
}

export interface JudgementOptions extends Abortable {
  /** The target does not change, or nobody follows the source: one look tells. */
  readonly atRest: boolean
  /** The pipeline's id, for messages. */
  readonly id: string
  /** How long the pipeline may take to reach what the source was at a look. */
  readonly waitMsMax: number
}

/** So often must a row be found unequal, unchanged at the source while the target was looked at, to be called different. */
const strikesMax = 3
/** A row that changes at each of so many looks is left alone. */
const roundsMax = 30
const pollMs = { min: 20, max: 500 }

const none: SurrealValue = { kind: 'none' }

export class Judgement {
  readonly #sides: Sides
  readonly #source: SourceAccess
  readonly #target: TargetAccess
  readonly #options: JudgementOptions

  constructor(sides: Sides, source: SourceAccess, target: TargetAccess, options: JudgementOptions) {
    this.#sides = sides
    this.#source = source
    this.#target = target
    this.#options = options
  }

  /** Those of the rows that are not the same. */
  async of(pair: TablePair, suspects: readonly SurrealValue[]): Promise<readonly Verdict[]> {
    return this.#options.atRest ? this.#once(pair, suspects) : this.live(pair, suspects)
  }

  async #once(pair: TablePair, suspects: readonly SurrealValue[]): Promise<readonly Verdict[]> {
    const { rows } = await this.#rows(pair, suspects)
    const records = await this.#records(pair, suspects)
    return suspects.flatMap((key) => verdictOf(key, rows.get(printValue(key)), records.get(printValue(key))) ?? [])
  }

  /**
   * The source before, then the pipeline at or past that point, then the target, then the source again: a row that the
   * source had the same all the time must be in the target.
   */
  async live(pair: TablePair, suspects: readonly SurrealValue[]): Promise<readonly Verdict[]> {
    const verdicts: Verdict[] = []
    const strikes = new Map<string, number>()
    let open = suspects
    for (let round = 1; open.length > 0; round += 1) {
      const before = await this.#rows(pair, open)
      if (before.latest !== undefined) await this.#passed(before.latest)
      const records = await this.#records(pair, open)
      const after = await this.#rows(pair, open)
      open = open.filter((key) => {
        const text = printValue(key)
        const [first, second] = [verdictOf(key, before.rows.get(text), records.get(text)), after.rows.get(text)]
        const last = verdictOf(key, second, records.get(text))
        if (first === undefined || last === undefined) return false
        const moved = !same(before.rows.get(text), second)
        if (!moved) strikes.set(text, (strikes.get(text) ?? 0) + 1)
        const certain = (strikes.get(text) ?? 0) >= strikesMax
        if (certain) verdicts.push(last)
        else if (round === roundsMax) verdicts.push({ ...last, kind: 'moving' })
        return !certain && round < roundsMax
      })
      if (open.length > 0) await sleep(Math.min(pollMs.max, pollMs.min * round), undefined, this.#options)
    }
    return verdicts
  }

  async #rows({ source: table, forms }: TablePair, keys: readonly SurrealValue[]) {
    const { source } = this.#sides
    this.#options.signal?.throwIfAborted()
    await source.begin()
    const latest = await this.#source.latest?.()
    const rows: ReadonlyMap<string, ExpectedRecord> =
      table === undefined ? new Map() : await source.find(table, forms, keys)
    await source.end()
    return { rows, latest }
  }

  async #records({ target }: TablePair, keys: readonly SurrealValue[]): Promise<ReadonlyMap<string, FoundRecord>> {
    return target === undefined ? new Map() : await this.#sides.target.find(target, keys)
  }

  /** Resolves when the pipeline has applied everything up to there. */
  async #passed(position: Position): Promise<void> {
    const { id, signal, waitMsMax } = this.#options
    const deadline = performance.now() + waitMsMax
    for (let delayMs = pollMs.min; ; delayMs = Math.min(pollMs.max, delayMs * 2)) {
      const checkpoint = await this.#target.checkpoint()
      if (checkpoint === undefined || !['full_sync_end', 'incremental'].includes(checkpoint.kind)) {
        throw new SyncError('E_STATE_MISSING', `The target has no finished full sync of pipeline ${id}`, {
          hint: 'Name the pipeline with `id`, or compare with `atRest` while nothing changes.',
        })
      }
      if ((this.#source.compare?.(checkpoint.resumeAfter, position) ?? 0) >= 0) return
      if (performance.now() > deadline) {
        throw new SyncError('E_BUSY', `Pipeline ${id} has not applied what the source had ${waitMsMax} ms ago`, {
          hint: 'Let it run meanwhile, or compare with `atRest` while nothing changes.',
        })
      }
      await sleep(delayMs, undefined, { signal })
    }
  }
}

/** Undefined: they are the same. */
function verdictOf(
  key: SurrealValue,
  expected: ExpectedRecord | undefined,
  found: FoundRecord | undefined,
): Verdict | undefined {
  if (expected === undefined) return found === undefined ? undefined : { kind: 'extra', key, expected, found }
  if (found === undefined) return { kind: 'missing', key, expected, found }
  return same(expected, found) ? undefined : { kind: 'different', key, expected, found }
}

function same(a: ExpectedRecord | undefined, b: FoundRecord | undefined): boolean {
  return a === undefined || b === undefined ? a === b : differingFields(a, b).length === 0
}

/** The names of the fields that are not the same. */
export function differingFields(a: ExpectedRecord, b: FoundRecord): readonly string[] {
  const names = new Set([...a.fields.keys(), ...b.fields.keys()])
  return [...names].filter((name) => printValue(a.fields.get(name) ?? none) !== printValue(b.fields.get(name) ?? none))
}
