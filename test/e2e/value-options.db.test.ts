/** Each form of values: chosen for all, for a type and for one column; by the library and by the command line; in both phases. */
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { SurrealSinkSettings } from '../../src/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'
import { startSurreal } from '../support/surreal-server.js'
import { surrealSyncHere, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { openTarget } from './target.js'

interface Option {
  /** Two columns are of this type, a third is of the other one. */
  readonly type: string
  readonly otherType: string
  readonly value: string
  /** What SurrealDB prints, by choice, the default first. */
  readonly forms: Readonly<Record<string, string>>
}

const days = `'2024-01-31'`
const uuid = `'0189b5d4-7c3e-7b6a-9c1e-2f4d5a6b7c8d'`

const options: Readonly<Record<string, Option>> = {
  nulls: { type: 'integer', otherType: 'text', value: 'null', forms: { null: 'NULL', none: 'NONE' } },
  numericOverflow: {
    type: 'numeric',
    otherType: 'exact',
    value: `'${'1'.padEnd(41, '0')}'`,
    forms: { string: `'${'1'.padEnd(41, '0')}'`, float: `${'1'.padEnd(41, '0')}f` },
  },
  infinity: {
    type: 'timestamptz',
    otherType: 'timestamp',
    value: `'-infinity'`,
    forms: { string: `'-infinity'`, null: 'NULL' },
  },
  interval: {
    type: 'interval',
    otherType: 'span',
    value: `'1 day 02:00:00'`,
    forms: { duration: '1d2h', string: `'P1DT2H'`, object: '{ days: 1, microseconds: 7200000000, months: 0 }' },
  },
  date: { type: 'date', otherType: 'day', value: days, forms: { datetime: `d'2024-01-31T00:00:00Z'`, string: days } },
  uuid: { type: 'uuid', otherType: 'token', value: uuid, forms: { uuid: `u${uuid}`, string: uuid } },
  geometry: {
    type: 'point',
    otherType: 'spot',
    value: `'(1,2)'`,
    forms: { geometry: '(1, 2)', object: '{ x: 1f, y: 2f }' },
  },
  ranges: {
    type: 'int4range',
    otherType: 'years',
    value: `'[1,5)'`,
    forms: { range: '1..5', object: `{ bounds: '[)', lower: 1, upper: 5 }` },
  },
}
const names = Object.keys(options)

const setupSql = `
  create domain exact as numeric; create domain span as interval; create domain day as date; create domain token as uuid;
  create domain spot as point; create domain years as int4range;
  create table forms (id int primary key, ${Object.values(options)
    .map(({ type, otherType }, index) => `a${index} ${type}, b${index} ${type}, c${index} ${otherType}`)
    .join(', ')})`

const levels = ['all', 'type', 'column'] as const
type Level = (typeof levels)[number]

/** For each option its choice of this number, or its last one: `interval=string`. */
function choicesOf(number: number): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(options).map(([name, { forms }]) => {
      const choices = Object.keys(forms)
      return [name, choices[Math.min(number, choices.length - 1)] ?? '']
    }),
  )
}

function settingsOf(level: Level, chosen: ReadonlyMap<string, string>): SurrealSinkSettings['values'] {
  const entries = [...chosen].map(([name, choice]) => ({ name, option: { [name]: choice } }))
  if (level === 'all') return Object.assign({}, ...entries.map(({ option }) => option))
  const target = (name: string) =>
    level === 'type' ? (options[name]?.type ?? '') : `public.forms.a${names.indexOf(name)}`
  const exceptions = Object.fromEntries(entries.map(({ name, option }) => [target(name), option]))
  return level === 'type' ? { types: exceptions } : { columns: exceptions }
}

function flagsOf(level: Level, chosen: ReadonlyMap<string, string>): readonly string[] {
  return [...chosen].flatMap(([name, choice]) => {
    const target = { all: '', type: `${options[name]?.type}.`, column: `public.forms.a${names.indexOf(name)}.` }
    return ['--value', `${target[level]}${name}=${choice}`]
  })
}

/** Columns `a`, `b` and `c` of each option. */
function expectedOf(level: Level, chosen: ReadonlyMap<string, string>): readonly string[] {
  return Object.entries(options).map(([name, { forms }]) => {
    const [usual = ''] = Object.values(forms)
    const form = forms[chosen.get(name) ?? ''] ?? ''
    // A value that became null is no field where nulls are none.
    const other = level === 'all' && form === 'NULL' && chosen.get('nulls') === 'none' ? 'NONE' : form
    return `[${[other, level === 'column' ? usual : other, level === 'all' ? other : usual].join(', ')}]`
  })
}

const storedSql = (index: number) => `SELECT VALUE [a${index}, b${index}, c${index}] FROM forms`

async function insert(client: pg.Client): Promise<void> {
  const cells = Object.values(options).flatMap(({ value }) => [value, value, value])
  await client.query(`insert into forms select count(*) + 1, ${cells.join(', ')} from forms`)
}

const cases = levels.flatMap((level) => [0, 1, 2].map((number) => ({ level, number })))

async function prepare(database: TestDatabase): Promise<pg.Client> {
  const client = await database.client()
  await client.query(setupSql)
  return client
}

describe('forms of values', { timeout: 120_000 }, () => {
  it.each(cases)('the library obeys choice $number for: $level', async ({ level, number }) => {
    await using database = await createDatabase()
    const client = await prepare(database)
    await insert(client)
    const chosen = choicesOf(number)
    await using replica = await SurrealReplica.open({
      url: database.url,
      sink: { values: settingsOf(level, chosen) },
    })
    await replica.full()
    await insert(client)
    await replica.catchUp()
    for (const [index, expected] of expectedOf(level, chosen).entries())
      expect(await replica.printed(storedSql(index)), names[index]).toBe(`[${expected}, ${expected}]`)
    expect(await replica.verify()).toMatchObject({ equal: true, rows: 2 })
  })

  it('the command line obeys every choice, for all, for a type and for a column', async () => {
    await using database = await createDatabase()
    const client = await prepare(database)
    await using server = await startSurreal()
    await using directory = await temporaryDirectory()
    const flags = [...connectionFlags(database.url, server.ws), '--checkpoint-dir', directory.path]
    const run = async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await surrealSyncHere([...args, ...flags])
      expect(code, stdout + stderr).toBe(0)
    }
    for (const { level, number } of cases.filter(({ number }) => number > 0)) {
      const chosen = choicesOf(number)
      const forms = flagsOf(level, chosen)
      await client.query('truncate forms')
      await insert(client)
      await run('full', 'postgresql', '--emit-checkpoints', ...forms)
      await insert(client)
      await run('sync', 'postgresql', '--timeout', '1s', ...forms)
      await using target = await openTarget(server.ws)
      for (const [index, expected] of expectedOf(level, chosen).entries()) {
        const [printed] = await target.db.query<[string]>(`RETURN <string>[${storedSql(index)}]`)
        expect(printed, `${level} ${names[index]}`).toBe(`[[${expected}, ${expected}]]`)
      }
    }
  })

  const refusals = [
    ['numericOverflow', 'numeric', `'${'7'.repeat(41)}'`],
    ['infinity', 'timestamptz', `'infinity'`],
  ] as const
  it.each(refusals.flatMap(([name, type, value]) => levels.map((level) => ({ name, type, value, level }))))(
    '$name=error for: $level stops at the value, by its column and without the value',
    async ({ name, type, value, level }) => {
      await using database = await createDatabase()
      const client = await database.client()
      await client.query(`create table t (id int primary key, v ${type}); insert into t values (1, ${value})`)
      const form = { [name]: 'error' }
      const values = { all: form, type: { types: { [type]: form } }, column: { columns: { 't.v': form } } }[level]
      await using replica = await SurrealReplica.open({ url: database.url, sink: { values } })
      const failure: unknown = await replica.full().catch((error: unknown) => error)
      expect(failure).toMatchObject({
        code: 'E_VALUE',
        message: expect.stringMatching(/^Column v of public\.t holds /),
        details: { table: 'public.t', column: 'v' },
      })
      expect(String(failure)).not.toMatch(/7777/)
      const target = { all: '', type: `${type}.`, column: 'public.t.v.' }[level]
      await using server = await startSurreal()
      const flags = ['--value', `${target}${name}=error`]
      const ended = await surrealSyncHere(['full', 'postgresql', ...connectionFlags(database.url, server.ws), ...flags])
      expect(ended.code).not.toBe(0)
      expect(ended.stderr).toContain('E_VALUE')
      expect(ended.stderr).toContain('Column v of public.t holds ')
      expect(ended.stdout + ended.stderr).not.toMatch(/7777/)
    },
  )
})
