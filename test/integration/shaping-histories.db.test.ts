/**
 * Random shapes and histories: after every sync the target is what a model computes from PostgreSQL, whether it came there by
 * a full sync or by changes. `SEED` repeats a run, `SHAPING_RUNS` makes it longer.
 */
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import type { Client } from 'pg'
import { DateTime, Decimal, type RecordId } from 'surrealdb'
import { describe, expect, it } from 'vitest'
import type { Deletes, Mask, Row, TableShape } from '../../src/index.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const maskSecret = 'a secret of tests only'
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
/** Of one table and its history. */
const runMsMax = 20_000
const numRuns = Number(process.env.SHAPING_RUNS ?? 6)

const columns = ['a', 'b', 'c', 'd', 'e', 's'] as const
const types = { a: 'int', b: 'text', c: 'numeric', d: 'bool', e: 'timestamptz', s: 'text' } as const
const keys = { one: ['k'], two: ['k1', 'k2'] } as const

const cells = {
  a: fc.constantFrom('null', '0', '3', '7', '9'),
  b: fc.constantFrom('null', "'x'", "'drop'", "'größe'", "''"),
  c: fc.constantFrom('null', '1.5', '2', '2.50'),
  d: fc.constantFrom('null', 'true', 'false'),
  e: fc.constantFrom('null', "'2024-01-01 12:00:00.25+02'", "'1999-12-31Z'"),
  s: fc.constantFrom('null', "'secret'", "'🙂🙂🙂'"),
}
const filters = {
  'a > 3': (row: Texts) => row.a !== null && Number(row.a) > 3,
  d: (row: Texts) => row.d === 'true',
  "b is distinct from 'x' and coalesce(a, 0) < 8": (row: Texts) => row.b !== 'x' && Number(row.a ?? 0) < 8,
  'c >= 2 or d is null': (row: Texts) => Number(row.c) >= 2 || row.d === null,
} as const satisfies Record<string, (row: Texts) => boolean>
/** Of columns that may be excluded, masked and renamed; the first takes the place of a column unless that has another name. */
const expressions = {
  a: { sql: 'd is true', of: (row: Texts) => row.d === 'true' },
  sum: { sql: 'coalesce(a, 0) + c * 2', of: ({ a = null, c = null }: Texts) => c && Number(a) + Number(c) * 2 },
  word: { sql: `left(b, 2) || '.'`, of: ({ b = null }: Texts) => (b === null ? null : `${b.slice(0, 2)}.`) },
} as const satisfies Record<string, { readonly sql: string; of(row: Texts): unknown }>
const flip: Mask = (value) => (value === true ? 'yes' : 'no')
const masks: Record<string, readonly Mask[]> = {
  a: ['hash', { truncate: 1 }],
  b: ['hash', null, { truncate: 2 }],
  c: ['hash'],
  d: [flip],
  e: ['hash', { truncate: 10 }],
  s: ['null', { truncate: 2 }],
}

const anyMask = fc.tuple(
  ...columns.map((name) => fc.option(fc.constantFrom(...(masks[name] ?? [])), { nil: undefined, freq: 2 })),
)
const anyShape = fc.record({
  as: fc.constantFrom(undefined, 'other name'),
  columns: fc.constantFrom<readonly string[] | undefined>(undefined, undefined, ['a', 'b', 'd'], ['?']),
  excludeColumns: fc.constantFrom<readonly string[] | undefined>(undefined, ['s'], ['c', 'e']),
  where: fc.constantFrom<keyof typeof filters | undefined>(
    undefined,
    ...(Object.keys(filters) as (keyof typeof filters)[]),
  ),
  rename: fc.constantFrom<Record<string, string>>({}, { a: 'alpha' }, { b: 'c', c: 'b' }, { e: 'id' }),
  mask: anyMask.map((chosen) =>
    Object.fromEntries(columns.flatMap((name, index) => (chosen[index] === undefined ? [] : [[name, chosen[index]]]))),
  ),
  deletes: fc.constantFrom<Deletes>('hard', 'hard', 'soft', { soft: 'gone' }, 'ignore'),
  computes: fc.boolean(),
  sql: fc.subarray(['a', 'sum', 'word'] as const),
  removes: fc.boolean(),
})
const anyKey = fc.integer({ min: 1, max: 9 })
const anyCells = fc.record(cells)
const anyStep = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key: anyKey, cells: anyCells }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('update' as const),
      key: anyKey,
      column: fc.constantFrom(...columns),
      cells: anyCells,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key: anyKey }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('move' as const), key: anyKey, to: anyKey }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('truncate' as const, 'alter' as const, 'full' as const),
    }),
  },
)

type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never
type RandomShape = typeof anyShape extends fc.Arbitrary<infer S> ? S : never
/** A row as PostgreSQL prints it. */
type Texts = { readonly [column: string]: string | null }
type Fields = { readonly [field: string]: unknown }

function shapeOf({ computes, sql, removes, ...shape }: RandomShape): TableShape {
  const given = Object.entries(shape).filter(([, value]) => value !== undefined)
  const length = (row: Row) => Object.values(row).filter((cell) => cell === null).length
  return {
    ...Object.fromEntries(given),
    compute: {
      ...Object.fromEntries(sql.map((name) => [name, { sql: expressions[name].sql }])),
      ...(computes && { length }),
    },
    ...(removes && {
      transform: (rows: readonly Row[]) => rows.map((row) => (Object.values(row).includes('drop') ? null : row)),
    }),
  }
}

/** What the row becomes, told without anything of the product. Undefined: it must not be there. */
function expectedOf(row: Texts, key: readonly string[], shape: RandomShape): Fields | undefined {
  if (shape.where !== undefined && !filters[shape.where](row)) return undefined
  const excluded = (name: string) =>
    shape.excludeColumns?.includes(name) === true ||
    (shape.columns !== undefined && !shape.columns.includes('?') && !shape.columns.includes(name))
  const fields: Record<string, unknown> = Object.fromEntries(key.map((name) => [name, plain(name, row[name] ?? null)]))
  for (const name of columns) {
    if (excluded(name)) continue
    const renamed = shape.rename[name] ?? name
    fields[renamed === 'id' ? 'id_' : renamed] = masked(name, row[name] ?? null, shape.mask[name])
  }
  for (const name of shape.sql) fields[name] = expressions[name].of(row)
  if (shape.removes && Object.values(fields).includes('drop')) return undefined
  if (shape.computes) fields.length = Object.values(fields).filter((cell) => cell === null).length
  return fields
}

function masked(name: string, text: string | null, mask: Mask | undefined): unknown {
  if (mask === undefined || text === null) return plain(name, text)
  if (mask === null || mask === 'null') return null
  if (mask === 'hash') return createHmac('sha256', maskSecret).update(text).digest('hex')
  if (typeof mask === 'function') return text === 'true' ? 'yes' : 'no'
  return [...text].slice(0, mask.truncate).join('')
}

function plain(name: string, text: string | null): unknown {
  if (text === null || name === 'b' || name === 's' || name === 'k1') return text
  if (name === 'd') return text === 'true'
  return name === 'e' ? new Date(text).toISOString() : Number(text)
}

/** What the target has, in the model's terms, by key. */
async function stored(replica: SurrealReplica, name: string) {
  const [records] = await replica.db.query<[Record<string, unknown>[]]>('SELECT * FROM type::table($name)', { name })
  return new Map(
    records.map(({ id, ...fields }) => {
      const plainFields = Object.entries(fields).map(([field, value]) => [field, comparable(value)] as const)
      return [JSON.stringify((id as RecordId).id), Object.fromEntries(plainFields) as Fields]
    }),
  )
}

function comparable(value: unknown): unknown {
  if (value instanceof Decimal) return Number(value.toString())
  return value instanceof DateTime ? value.toDate().toISOString() : value
}

/** A table, its history and what is expected of the target. */
class Model {
  readonly #key: readonly string[]
  readonly #shape: RandomShape
  readonly #client: Client
  /** What each record that was ever written looked like when its row was there last. */
  readonly #known = new Map<string, Fields>()
  #live = new Map<string, Fields>()

  constructor(client: Client, key: readonly string[], shape: RandomShape) {
    this.#client = client
    this.#key = key
    this.#shape = shape
  }

  async read(): Promise<void> {
    const names = [...this.#key, ...columns]
    const list = names.map((name) => `${name}::text as ${name}`).join(', ')
    const { rows } = await this.#client.query<Texts>(`select ${list} from t`)
    this.#live = new Map()
    for (const row of rows) {
      const fields = expectedOf(row, this.#key, this.#shape)
      if (fields === undefined) continue
      const parts = this.#key.map((name) => plain(name, row[name] ?? null))
      this.#live.set(JSON.stringify(parts.length === 1 ? parts[0] : parts), fields)
    }
    for (const [key, fields] of this.#live) this.#known.set(key, fields)
  }

  /** The records that must be there after a sync. @param fresh Whether it was the first into this target. */
  expected(fresh = false): ReadonlyMap<string, Fields> {
    if (this.#shape.deletes === 'hard' || fresh) return this.#live
    const { deletes } = this.#shape
    const field = deletes === 'soft' ? 'deleted_at' : typeof deletes === 'object' ? deletes.soft : undefined
    const mark = field === undefined ? {} : { [field]: expect.stringMatching(/^\d{4}-/) }
    return new Map(
      [...this.#known].map(([key, fields]) => [key, this.#live.has(key) ? fields : { ...fields, ...mark }]),
    )
  }
}

function sqlOf(step: Step, key: readonly string[]): string {
  const keyOf = (n: number) => (key.length === 1 ? [String(n)] : [`'k${n % 3}'`, String(n)])
  const where = (n: number) => key.map((name, part) => `${name} = ${keyOf(n)[part]}`).join(' and ')
  switch (step.do) {
    case 'put': {
      const set = columns.map((name) => `${name} = excluded.${name}`).join(', ')
      const values = [...keyOf(step.key), ...columns.map((name) => step.cells[name])]
      return `insert into t (${[...key, ...columns].join(', ')}) values (${values.join(', ')}) on conflict (${key.join(', ')}) do update set ${set}`
    }
    case 'update':
      return `update t set ${step.column} = ${step.cells[step.column]} where ${where(step.key)}`
    case 'delete':
      return `delete from t where ${where(step.key)}`
    case 'move': {
      const set = key.map((name, part) => `${name} = ${keyOf(step.to)[part]}`).join(', ')
      return `update t set ${set} where ${where(step.key)} and not exists (select from t where ${where(step.to)})`
    }
    case 'truncate':
      return 'truncate t'
    case 'alter':
      return 'alter table t alter column a type bigint; alter table t alter column a type int'
    default:
      return ''
  }
}

async function play(
  kind: keyof typeof keys,
  shape: RandomShape,
  before: readonly Step[],
  after: readonly Step[],
): Promise<number> {
  const key = keys[kind]
  await using database = await createDatabase()
  const client = await database.client()
  const keyTypes = kind === 'one' ? ['int'] : ['text', 'int']
  const list = [
    ...key.map((name, part) => `${name} ${keyTypes[part]}`),
    ...columns.map((name) => `${name} ${types[name]}`),
  ]
  await client.query(`set timezone = 'UTC'; create table t (${list.join(', ')}, primary key (${key.join(', ')}))`)
  const source = { shaping: { t: shapeOf(shape) }, maskSecret }
  await using replica = await SurrealReplica.open({ url: database.url, source })
  const model = new Model(client, key, shape)
  let syncs = 0
  const check = async (run: () => Promise<unknown>) => {
    await run()
    await model.read()
    expect(await stored(replica, shape.as ?? 't')).toEqual(model.expected())
    syncs += 1
  }
  for (const step of before) await client.query(sqlOf(step, key))
  await check(() => replica.full())
  for (const step of after) {
    if (step.do === 'sync') await check(() => replica.catchUp())
    else if (step.do === 'full') await check(() => replica.full())
    else await client.query(sqlOf(step, key))
  }
  await check(() => replica.catchUp())
  await using fresh = await SurrealReplica.open({ url: database.url, source, engine: { checkpoints: undefined } })
  await fresh.full()
  expect(await stored(fresh, shape.as ?? 't')).toEqual(model.expected(true))
  return syncs
}

describe('random shapes', () => {
  it(
    `give what a model computes from PostgreSQL, by changes as by full syncs (SEED=${seed})`,
    async () => {
      let syncs = 0
      const steps = (maxLength: number) => fc.array(anyStep, { minLength: maxLength / 2, maxLength, size: 'max' })
      const anyKind = fc.constantFrom<keyof typeof keys>('one', 'two')
      const property = fc.asyncProperty(anyKind, anyShape, steps(12), steps(40), async (kind, shape, before, after) => {
        syncs += await play(kind, shape, before, after)
      })
      await fc.assert(property, { seed, numRuns, endOnFailure: true })
      console.log(`random shapes: ${numRuns} tables, ${syncs} syncs compared, SEED=${seed}`)
    },
    runMsMax * numRuns,
  )
})
