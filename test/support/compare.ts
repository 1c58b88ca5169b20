/** Compares the databases of a test, row by row: what `verify` does, with the values that it keeps to itself. */
import pg from 'pg'
import type { Surreal } from 'surrealdb'
import type { Column, Table } from '../../src/core/schema.js'
import { Comparison, type TableTotals } from '../../src/verify/comparison.js'
import { differingFields, type Verdict } from '../../src/verify/judgement.js'
import type { SourceAccess, TargetAccess, TextRow } from '../../src/verify/sides.js'
import { printValue } from '../../src/verify/surreal-value.js'
import { defaultForms, type ValueForms } from '../../src/verify/value-forms.js'

export interface ComparisonOptions {
  /** The connection url of the source. */
  readonly source: string
  /** A connection that uses the target's namespace and database, and SurrealDB 3.0 or newer. */
  readonly target: Pick<Surreal, 'query'>
  /** Labels (`shop.orders`) of the tables to compare. @defaultValue all permanent tables, and no others in the target */
  readonly tables?: readonly string[]
  readonly tableName?: (table: Table) => string
  readonly forms?: (table: Table, column: Column) => ValueForms
}

export interface Example {
  readonly table: string
  readonly kind: Verdict['kind']
  readonly key: string
  readonly columns: readonly { readonly name: string; readonly expected: string; readonly found: string }[]
}

export interface ComparisonReport {
  readonly equal: boolean
  readonly rows: number
  readonly differences: number
  readonly tables: readonly TableTotals[]
  readonly examples: readonly Example[]
}

const examplesMax = 10
const asText = { getTypeParser: () => (text: string) => text }

/** Compares two databases at rest. Which tables there are, and their keys, is found out apart from the product too. */
export async function compareDatabases(options: ComparisonOptions): Promise<ComparisonReport> {
  await using source = await openSource(options.source)
  const examples: Example[] = []
  const { tables: only } = options
  const comparison = new Comparison(source, openTarget(options), {
    ...{ id: 'test', atRest: true, exclusive: only === undefined, waitMsMax: 0, only },
    onVerdict: (table, verdict) => {
      if (examples.length < examplesMax) examples.push(exampleOf(table, verdict))
    },
  })
  const { tables } = await comparison.run()
  const skipped = tables.find((table) => table.skipped !== undefined)
  if (skipped !== undefined) throw new Error(`${skipped.table} cannot be compared: ${skipped.skipped}`)
  const absent = only?.find((label) => !tables.some(({ table }) => table === label))
  if (absent !== undefined) throw new Error(`The source has no table ${absent}.`)
  const sum = (count: (table: TableTotals) => number) => tables.reduce((total, table) => total + count(table), 0)
  const differences = sum(({ missing, extra, different }) => missing + extra + different)
  return { equal: differences === 0, rows: sum(({ rows }) => rows), differences, tables, examples }
}

/**
 * Throws unless every row of the source is in the target as documented, and nothing else is. The message names the first
 * differences with their keys and columns.
 */
export async function expectEqualDatabases(options: ComparisonOptions): Promise<ComparisonReport> {
  const report = await compareDatabases(options)
  if (report.equal) return report
  throw new Error(`${report.differences} of ${report.rows} rows differ:\n${report.examples.map(describe).join('\n')}`)
}

async function openSource(url: string): Promise<SourceAccess> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {}) // the query under way rejects too
  await client.connect()
  return {
    tables: undefined,
    run: async (text, values = []) => {
      const { rows } = await client.query<string[]>({ text, values: [...values], rowMode: 'array', types: asText })
      return rows as readonly TextRow[]
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

function openTarget({ target, tableName, forms }: ComparisonOptions): TargetAccess {
  return {
    query: async (text, bindings) => await target.query<unknown[]>(text, bindings),
    tableName: tableName ?? (({ name }) => name),
    forms: forms ?? (() => defaultForms),
    keyOf: () => undefined,
    checkpoint: async () => undefined,
    holdings: async () => new Map(),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

function exampleOf(table: string, { kind, key, expected, found }: Verdict): Example {
  const names = expected === undefined || found === undefined ? [] : differingFields(expected, found)
  const columns = names.map((name) => {
    const [wanted, is] = [expected, found].map((record) => printValue(record?.fields.get(name) ?? { kind: 'none' }))
    return { name, expected: wanted ?? '', found: is ?? '' }
  })
  return { table, kind, key: printValue(key), columns }
}

function describe({ table, kind, key, columns }: Example): string {
  const parts = columns.map(({ name, expected, found }) => `${name} is ${short(found)}, not ${short(expected)}`)
  return `  ${table} ${key}: ${kind}${parts.length === 0 ? '' : ` (${parts.join('; ')})`}`
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
