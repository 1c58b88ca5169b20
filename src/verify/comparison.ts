/** Compares tables of a source with those of a target. What it finds has the content of rows: see `verify` for what may be shown. */
import type { Column, Table } from '../core/schema.js'
import type { TableShape } from '../core/shaping.js'
import { Judgement, type JudgementOptions, type Verdict } from './judgement.js'
import type { Holding, SourceAccess, TargetAccess } from './sides.js'
import { type FormsOf, SourceReader, type SourceTable } from './source-reader.js'
import type { SurrealValue } from './surreal-value.js'
import { type Reading, type Sides, suspectsPerPage, TableComparison, type TablePair } from './table-comparison.js'
import { TargetReader } from './target-reader.js'

export interface ComparisonOptions extends JudgementOptions {
  /** Labels of the only tables to compare. */
  readonly only?: readonly string[]
  /** Whether the target must have no other tables with records. */
  readonly exclusive: boolean
  readonly onReading?: (table: string, reading: Reading) => void
  /** Called for every row that is not the same. */
  readonly onVerdict: (table: string, verdict: Verdict) => void
}

/** One table, compared. */
export interface TableTotals {
  /** The source table's label, or the name of a table that only the target has. */
  readonly table: string
  /** What the target calls it. */
  readonly target: string
  /** Rows of the source. */
  readonly rows: number
  /** Records of the target. */
  readonly records: number
  readonly missing: number
  readonly extra: number
  readonly different: number
  /** Rows that changed each time they were looked at. */
  readonly moving: number
  /** Why the table was not compared. */
  readonly skipped?: string
}

export interface ComparisonTotals {
  readonly tables: readonly TableTotals[]
  /** Target tables that belong to none of the tables compared, and were not looked at. */
  readonly others: readonly string[]
}

export class Comparison {
  readonly #access: { readonly source: SourceAccess; readonly target: TargetAccess }
  readonly #sides: Sides
  readonly #judgement: Judgement
  readonly #options: ComparisonOptions
  /** The tables compared, by label. */
  readonly #pairs = new Map<string, TablePair>()
  #holdings: ReadonlyMap<string, Holding> = new Map()

  constructor(source: SourceAccess, target: TargetAccess, options: ComparisonOptions) {
    this.#access = { source, target }
    this.#sides = { source: new SourceReader(source.run), target: new TargetReader(target) }
    this.#judgement = new Judgement(this.#sides, source, target, options)
    this.#options = options
  }

  async run(): Promise<ComparisonTotals> {
    const { source, target } = this.#access
    this.#holdings = await target.holdings()
    const present = await this.#sides.target.tables()
    const replicated = source.tables
    await this.#sides.source.begin()
    const all = await this.#sides.source.tables(replicated)
    await this.#sides.source.end()
    const labels = replicated === undefined ? undefined : new Set(replicated.map(({ label }) => label))
    const { only, exclusive } = this.#options
    const chosen = all.filter(
      ({ label }) => (labels?.has(label) ?? true) && (only === undefined || only.includes(label)),
    )
    const tables: TableTotals[] = []
    const names = new Set<string>()
    for (const table of chosen) {
      const made = replicated?.find(({ label }) => label === table.label) ?? described(table)
      const name = target.tableName(made)
      names.add(name)
      const forms: FormsOf = (column) => target.forms(made, describedColumn(column))
      const pair = {
        source: table,
        reshaped: made.shape && reshaping(made.shape),
        target: present.has(name) ? name : undefined,
        forms,
      }
      tables.push(await this.#compare(table.label, name, pair))
    }
    const others = [...present].filter((name) => !names.has(name) && !isState(name))
    if (!exclusive) return { tables, others }
    for (const name of others)
      tables.push(await this.#compare(name, name, { source: undefined, target: name, forms: noForms }))
    return { tables, others: [] }
  }

  /** Looks once more at rows of a table that was compared, as long as it takes. Whoever follows the source must run. */
  async *again(label: string, keys: readonly SurrealValue[]): AsyncGenerator<Verdict> {
    const pair = this.#pairs.get(label)
    if (pair === undefined) return
    for (let start = 0; start < keys.length; start += suspectsPerPage) {
      yield* await this.#judgement.live(pair, keys.slice(start, start + suspectsPerPage))
    }
  }

  async #compare(label: string, target: string, pair: TablePair): Promise<TableTotals> {
    this.#pairs.set(label, pair)
    const counts = { missing: 0, extra: 0, different: 0, moving: 0 }
    const skipped = pair.source === undefined ? undefined : (pair.reshaped ?? obstacle(pair.source))
    if (skipped !== undefined) return { table: label, target, rows: 0, records: 0, ...counts, skipped }
    const { onReading, onVerdict, signal } = this.#options
    const shared = this.#holdings.get(target) === 'shared'
    const comparison = new TableComparison(this.#sides, pair, (reading) => onReading?.(label, reading), { signal })
    for await (const suspects of comparison.suspects()) {
      for (const verdict of await this.#judgement.of(pair, suspects)) {
        // What others have in a table that is not only ours is theirs.
        if (verdict.kind === 'extra' && shared) continue
        counts[verdict.kind] += 1
        onVerdict(label, verdict)
      }
    }
    return { table: label, target, rows: comparison.rows, records: comparison.records, ...counts }
  }
}

function obstacle({ key, columns }: SourceTable): string | undefined {
  if (key.length === 0) return 'it has no key, so its rows cannot be told apart'
  for (const { name, sourceType, type } of columns) {
    if (type.kind === 'unreadable') return `its column ${name} has the type ${sourceType}, ${type.why}`
  }
  return undefined
}

/** What a shape makes of values, only whoever made it can say; and records that stay are records without a row. */
function reshaping({ mask = {}, compute = {}, transform, deletes = 'hard' }: TableShape): string | undefined {
  if (Object.keys(mask).length > 0) return 'it has masks'
  const functions = [transform, ...Object.values(compute)].some((one) => typeof one === 'function')
  if (functions) return 'its rows are reshaped by functions'
  return deletes === 'hard' ? undefined : 'records of rows that are gone stay'
}

/** For whoever names target tables by more than the source's name. */
function described(table: SourceTable): Table {
  const { schema, name, label } = table
  return { schema, name, label, columns: table.columns.map(describedColumn), key: table.key.map(describedColumn) }
}

function describedColumn({ name, sourceType }: { readonly name: string; readonly sourceType: string }): Column {
  return { name, sourceType, type: { kind: 'text' }, nullable: true }
}

const noForms: FormsOf = () => {
  throw new Error('A table without a source has no columns.')
}

/** Where pipelines keep their own state. */
function isState(table: string): boolean {
  return table.startsWith('surreal_sync')
}
