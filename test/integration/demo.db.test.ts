import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createNodeEngines } from '@surrealdb/node'
import { Surreal } from 'surrealdb'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { compareDatabases, type Example, expectEqualDatabases } from '../support/compare.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const demoMsMax = 180_000
const goneMsMax = 20_000

/** Starts `surreal-sync demo` with a directory of its own for temporary files. */
async function startDemo() {
  const directory = await mkdtemp(join(tmpdir(), 'demo-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  await chmod(directory, 0o777) // PostgreSQL may run as another user
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'demo'], {
    cwd: repository,
    env: { ...process.env, TMPDIR: directory, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const exited = once(child, 'close')
  const lines: string[] = []
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  return {
    directory,
    child,
    exited,
    lines,
    errors: () => errors,
    /** Resolves at the first line that contains the text. */
    async line(text: string): Promise<void> {
      for (;;) {
        const next = once(output, 'line')
        if (lines.some((line) => line.includes(text))) return
        await Promise.race([next, exited.then(() => Promise.reject(new Error(`The demo ended early: ${errors}`)))])
      }
    },
  }
}

/** What is left of the demo's PostgreSQL: directories and processes. */
async function remains(directory: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,args='], { maxBuffer: 16 * 1024 * 1024 })
  const processes = stdout.split('\n').filter((line) => line.includes(join(directory, 'surreal-sync')))
  const names = await readdir(directory)
  return [...processes, ...names.filter((name) => name.startsWith('surreal-sync'))]
}

describe('surreal-sync demo', () => {
  test('replicates a shop while it is open, finds both sides equal and leaves nothing behind', {
    timeout: demoMsMax,
  }, async () => {
    const demo = await startDemo()
    const [code] = await demo.exited
    expect(demo.errors()).toBe('')
    expect(code).toBe(0)
    const text = demo.lines.join('\n')
    expect(text).toMatch(/equal: \d+,\d{3} rows in 9 tables, 0 differences/)
    expect(text).toMatch(/t1 postgresql:sequence:\d+/)
    expect(text).toMatch(/t2 postgresql:sequence:\d+/)
    expect(text).toMatch(/select status, count\(\)/)
    expect(await remains(demo.directory)).toEqual([])
  })

  test.each(['PostgreSQL', 'Application', 'Full sync'])(
    'ends cleanly when interrupted after the step %s',
    { timeout: demoMsMax },
    async (step) => {
      const demo = await startDemo()
      await demo.line(`✔ ${step}`)
      demo.child.kill('SIGINT')
      const [code, signal] = await demo.exited
      expect([0, 130]).toContain(code)
      expect(signal).toBeNull()
      expect(demo.errors()).toBe('')
      expect(demo.lines.at(-1)).toBe('Stopped. Both databases are gone.')
      await expect.poll(() => remains(demo.directory), { timeout: goneMsMax }).toEqual([])
    },
  )
})

async function createTarget(): Promise<Surreal> {
  const target = new Surreal({ engines: createNodeEngines() })
  await target.connect('mem://')
  await target.use({ namespace: 'test', database: 'test' })
  onTestFinished(async () => {
    await target.close()
  })
  return target
}

const sourceSql = `
  create schema s;
  create table s.t (
    id integer primary key, n integer, f double precision, d numeric, x text, at timestamptz, j jsonb, k uuid
  );
  insert into s.t values
    (1, 1, 0.5, 1.10, '1', '2024-01-01 00:00:00.000001+00', '{"b": 1, "a": [1, 2], "__proto__": 1}', null),
    (2, 2, 0, 2, 'two', '0044-03-15 00:00:00+00 BC', 'null', '018f0000-0000-7000-8000-000000000001')`
const targetSurql = `
  create t:1 content {
    n: 1, f: 0.5f, d: 1.1dec, x: '1', at: d'2024-01-01T00:00:00.000001Z', j: { a: [1, 2], b: 1, "__proto__": 1 }, k: null
  };
  create t:2 content {
    n: 2, f: 0f, d: 2dec, x: 'two', at: d'-0043-03-15T00:00:00Z', j: null, k: u'018f0000-0000-7000-8000-000000000001'
  }`

/** PostgreSQL expressions and what they must become, written in SurrealQL. */
const mappings: readonly [sql: string, surql: string][] = [
  ['true', 'true'],
  ['9007199254740993::bigint', '9007199254740993'],
  ['3.14::real', '3.14f'],
  ["'-0'::float8", '-0f'],
  ["'Infinity'::float8", 'math::inf'],
  ['1.10::numeric', '1.1dec'],
  ["'NaN'::numeric", 'NaN'],
  ['79228162514264337593543950335', '79228162514264337593543950335dec'],
  ['79228162514264337593543950336', "'79228162514264337593543950336'"],
  ["'-1234.50'::money", '-1234.5dec'],
  ["'ab'::char(5)", "'ab'"],
  ["'\\x00ff'::bytea", 'encoding::base64::decode("AP8")'],
  ["'2024-02-29'::date", "d'2024-02-29T00:00:00Z'"],
  ["'infinity'::date", "'infinity'"],
  ["'5874897-12-31'::date", "'+5874897-12-31'"],
  ["'294276-12-31 23:59:59.5'::timestamp", "'+294276-12-31T23:59:59.5Z'"],
  ["'2024-01-01 12:00:00.5+02'::timestamptz", "d'2024-01-01T10:00:00.5Z'"],
  ["'24:00:00'::time", "'24:00:00'"],
  ["'1 day 2 hours 0.000001 seconds'::interval", '1d2h1us'],
  ["'1 month -1 day'::interval", "'P1M-1D'"],
  ["'-1 second'::interval", "'PT-1S'"],
  ['\'{"a": 12345678901234567890, "b": 1.0, "c": 1.5}\'::json', '{ a: 12345678901234567890dec, b: 1, c: 1.5dec }'],
  ["'1e300'::json", '1e300f'],
  ["'1e400'::jsonb", `'1${'0'.repeat(400)}'`],
  ['\'{"a": 1, "a": 2}\'::json', '{ a: 2 }'],
  ["'{{1,NULL},{3,4}}'::int[]", '[[1, null], [3, 4]]'],
  ["'[5:6]={1,2}'::int[]", '[1, 2]'],
  ["array['a,\"b', null, '']", "['a,\"b', null, '']"],
  ["row(1, '{x,NULL}')::pair", "{ a: 1, b: ['x', null] }"],
  ['5::positive', '5'],
  ["'[1,5)'::int4range", '1..5'],
  ["'(1.5,2]'::numrange", '1.5dec>..=2dec'],
  ["'(,)'::int4range", '..'],
  ["'empty'::int4range", "'empty'"],
  ["'{[1,3),[5,7)}'::int4multirange", '[1..3, 5..7]'],
  ["'10.0.0.1'::inet", "'10.0.0.1'"],
  ["b'0101'", "'0101'"],
  ["'(1.5,2)'::point", '(1.5, 2)'],
  ["'((0,0),(1,0),(1,1))'::polygon", "{ type: 'Polygon', coordinates: [[[0f, 0f], [1f, 0f], [1f, 1f], [0f, 0f]]] }"],
  ["'<(1,2),3>'::circle", '{ center: { x: 1f, y: 2f }, radius: 3f }'],
]

/** Types and values of a key column, and the key. */
const keys: readonly [type: string, cell: string, key: string][] = [
  ['integer', '-1', '-1'],
  ['text', "'a⟩`b'", '`a⟩\\`b`'],
  ['uuid', "'018f0000-0000-7000-8000-000000000001'", "u'018f0000-0000-7000-8000-000000000001'"],
  ['boolean', 'true', '[true]'],
  ['numeric', '1.50', '[1.5dec]'],
  ['float8', "'-0'", "['0']"],
  ['date', "'2024-01-01'", "[d'2024-01-01T00:00:00Z']"],
  ['time', "'12:00'", '⟨12:00:00⟩'],
]

// SurrealDB does not store a value that it finds equal to the old one, and 1 = 1f = 1dec: hence the 9 in between.
describe('the comparison', () => {
  let source: TestDatabase

  beforeAll(async () => {
    source = await createDatabase()
    await (await source.client()).query(sourceSql)
  })
  afterAll(() => source[Symbol.asyncDispose]())

  test.each<[name: string, surql: string, difference: string | undefined]>([
    ['nothing', '', undefined],
    ['another order of fields', 'update t:1 set j = { "__proto__": 1, b: 1, a: [1, 2] }', undefined],
    ['superfluous zeros', 'update t:1 set d = 1.1000dec', undefined],
    ['a table for the state of a pipeline', 'create surreal_sync_state:1', undefined],
    ['a missing row', 'delete t:2', 'missing 2'],
    ['an extra row', 'create t:3', 'extra 3'],
    ['a row under a key of another type', 'create t:⟨1⟩', 'extra "1"'],
    ['a row under an array', 'create t:[1]', 'extra [1]'],
    ['a table that nobody knows', 'create other:1', 'extra 1'],
    ['a changed text', "update t:1 set x = '1 '", 'different 1: x "1 " not "1"'],
    ['an integer as text', "update t:1 set n = '1'", 'different 1: n "1" not 1'],
    ['an integer as float', 'update t:1 set n = 9; update t:1 set n = 1f', 'different 1: n 1f not 1'],
    ['an integer as decimal', 'update t:1 set n = 9; update t:1 set n = 1dec', 'different 1: n 1dec not 1'],
    ['a text as integer', 'update t:1 set x = 1', 'different 1: x 1 not "1"'],
    ['a float as integer', 'update t:2 set f = 9; update t:2 set f = 0', 'different 2: f 0 not 0f'],
    ['a decimal as float', 'update t:2 set d = 9; update t:2 set d = 2f', 'different 2: d 2f not 2dec'],
    ['minus zero', 'update t:2 set f = 9; update t:2 set f = -0f', 'different 2: f -0f not 0f'],
    ['not a number', 'update t:1 set f = NaN', 'different 1: f NaNf not 0.5f'],
    ['none in place of null', 'update t:1 unset k', 'different 1: k NONE not NULL'],
    [
      'null in place of a value',
      'update t:2 set k = null',
      'different 2: k NULL not u"018f0000-0000-7000-8000-000000000001"',
    ],
    [
      'text in place of a uuid',
      "update t:2 set k = '018f0000-0000-7000-8000-000000000001'",
      'different 2: k "018f0000-0000-7000-8000-000000000001" not u"018f0000-0000-7000-8000-000000000001"',
    ],
    ['a field too many', 'update t:1 set y = 1', 'different 1: y 1 not NONE'],
    [
      'a microsecond more',
      "update t:1 set at = d'2024-01-01T00:00:00.000002Z'",
      'different 1: at d"2024-01-01T00:00:00.000002Z" not d"2024-01-01T00:00:00.000001Z"',
    ],
    [
      'a year less',
      "update t:2 set at = d'-0044-03-15T00:00:00Z'",
      'different 2: at d"-000044-03-15T00:00:00Z" not d"-000043-03-15T00:00:00Z"',
    ],
    [
      'another order in an array',
      'update t:1 set j.a = [2, 1]',
      'different 1: j {__proto__: 1, a: [2, 1], b: 1} not {__proto__: 1, a: [1, 2], b: 1}',
    ],
    [
      'a lost __proto__',
      'update t:1 set j = { a: [1, 2], b: 1 }',
      'different 1: j {a: [1, 2], b: 1} not {__proto__: 1, a: [1, 2], b: 1}',
    ],
  ])('notices %s', async (_, surql, difference) => {
    const target = await createTarget()
    await target.query(targetSurql)
    if (surql !== '') await target.query(surql)
    const report = await compareDatabases({ source: source.url, target })
    expect(report.examples.map(summary)).toEqual(difference === undefined ? [] : [difference])
    expect(report).toMatchObject({
      equal: difference === undefined,
      rows: 2,
      differences: difference === undefined ? 0 : 1,
    })
  })

  test('counts every difference, shows ten, and throws for the tests', async () => {
    await using source = await createDatabase()
    await (await source.client()).query(
      'create table t as select i, i as n from generate_series(1, 2500) i; alter table t add primary key (i)',
    )
    const target = await createTarget()
    await target.query('for $i in 1..=2600 { create t content { id: $i, i: $i, n: $i % 2 } }')
    const report = await compareDatabases({ source: source.url, target })
    expect(report).toMatchObject({
      equal: false,
      rows: 2500,
      differences: 2599,
      tables: [{ rows: 2500, records: 2600 }],
    })
    expect(report.examples).toHaveLength(10)
    await expect(expectEqualDatabases({ source: source.url, target })).rejects.toThrow(
      /^2599 of 2500 rows differ:\n {2}public.t \d+: (different \(n is \d, not \d+\)|extra)/,
    )
  })

  test('reports every row of a table that is not there', async () => {
    const report = await compareDatabases({ source: source.url, target: await createTarget() })
    expect(report.examples.map(summary)).toEqual(['missing 1', 'missing 2'])
  })

  test('refuses tables that do not exist or have no key', async () => {
    await using source = await createDatabase()
    await (await source.client()).query('create table keyless (i integer)')
    const target = await createTarget()
    await expect(compareDatabases({ source: source.url, target })).rejects.toThrow(
      'public.keyless cannot be compared: it has no key',
    )
    await expect(compareDatabases({ source: source.url, target, tables: ['s.none'] })).rejects.toThrow(
      'no table s.none',
    )
  })

  test('expects every type as documented', async () => {
    await using source = await createDatabase()
    const client = await source.client()
    await client.query('create type pair as (a integer, b text[]); create domain positive as integer check (value > 0)')
    const target = await createTarget()
    for (const [index, [sql, surql]] of mappings.entries()) {
      await client.query(
        `create table v${index} as select 1 as id, ${sql} as v; alter table v${index} add primary key (id)`,
      )
      await target.query(`create v${index}:1 set v = ${surql}`)
    }
    expect((await expectEqualDatabases({ source: source.url, target })).rows).toBe(mappings.length)
  })

  test('expects rows under the keys documented', async () => {
    await using source = await createDatabase()
    const client = await source.client()
    const target = await createTarget()
    for (const [index, [type, cell, key]] of keys.entries()) {
      await client.query(`create table k${index} (id ${type} primary key); insert into k${index} values (${cell})`)
      await target.query(`create k${index}:${key}`)
    }
    expect((await expectEqualDatabases({ source: source.url, target })).rows).toBe(keys.length)
  })
})

function summary({ kind, key, columns }: Example): string {
  const parts = columns.map(({ name, expected, found }) => `${name} ${found} not ${expected}`)
  return `${kind} ${key}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`
}
