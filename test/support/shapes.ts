/** A generated database with every common shape of table, for tests that replicate a whole database. */
import pg, { type ClientBase } from 'pg'
import { seededRandom } from '../../src/demo/seeded-random.js'
import { createOddShapes } from './shapes-odd.js'
import { nullable, Shapes } from './shapes-tables.js'
import { arrayText, generatorOf, integer, pick, type TypeName, typeNames } from './shapes-values.js'

export interface ShapesOptions {
  /** The same seed makes the same rows. */
  readonly seed: number
  /** In the larger tables; others have fewer. */
  readonly rows: number
}

/** Columns of the types that the table of keys tries one by one. */
const keyTypes: readonly TypeName[] = [
  'smallint',
  'integer',
  'bigint',
  'text',
  'varchar(60)',
  'char(12)',
  'name',
  'uuid',
  'date',
  'numeric',
  'boolean',
  'bytea',
  'timestamptz',
  'timestamp',
  'time',
  'double precision',
  'real',
  'interval',
  'inet',
  'oid',
  'macaddr',
  'bit(8)',
]
const arrayTypes: readonly TypeName[] = [
  'boolean',
  'smallint',
  'integer',
  'bigint',
  'real',
  'double precision',
  'numeric',
  'text',
  'varchar(60)',
  'char(12)',
  'bytea',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'json',
  'jsonb',
  'inet',
  'int4range',
  'point',
  'bit(8)',
  'name',
]
const types = `
  create schema shapes;
  create type shapes.mood as enum ('sad', 'ok', 'very happy', 'quo''te');
  create domain shapes.short_text as text check (length(value) < 1000);
  create domain shapes.counts as integer[];
  create type shapes.inner_pair as (amount numeric, at timestamptz);
  create type shapes.pair as (name text, "odd, name" shapes.inner_pair, tags text[], doc jsonb, mood shapes.mood)`

/**
 * Creates the tables and their rows, as a superuser in an empty database.
 * @returns the labels of the tables, all of which have a key
 */
export async function createShapes(client: ClientBase, options: ShapesOptions): Promise<readonly string[]> {
  const random = seededRandom(options.seed)
  const shapes = new Shapes(client, random)
  await client.query(types)
  await everyType(shapes, options.rows)
  await everyArray(shapes, options.rows)
  await userTypes(shapes, options.rows)
  await singleKeys(shapes, Math.ceil(options.rows / 4))
  await compositeKeys(shapes, options.rows)
  await createOddShapes(shapes, options.rows)
  await extensions(shapes, options.rows)
  return shapes.labels
}

async function everyType(shapes: Shapes, rows: number): Promise<void> {
  const columns = typeNames.map((type) => ({ name: columnName(type), type, generate: generatorOf(type) }))
  const definition = columns.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${type}`)
  await shapes.table('shapes', 'every_type', `(n integer primary key, ${definition.join(', ')})`)
  const names = ['n', ...columns.map(({ name }) => name)]
  await shapes.fill('shapes', 'every_type', names, rows, (random, index) => [
    String(index),
    ...columns.map(({ generate }) => nullable(random, () => generate(random, index))),
  ])
}

async function everyArray(shapes: Shapes, rows: number): Promise<void> {
  const columns = arrayTypes.map((type) => ({ name: columnName(type), type, generate: generatorOf(type) }))
  const definition = columns.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${type}[]`)
  await shapes.table(
    'shapes',
    'every_array',
    `(n bigint primary key, grid integer[], moods shapes.mood[], ${definition.join(', ')})`,
  )
  const names = ['n', 'grid', 'moods', ...columns.map(({ name }) => name)]
  await shapes.fill('shapes', 'every_array', names, rows, (random, index) => [
    String(index),
    pick(random, ['{{1,2},{3,NULL}}', '{}', '[5:7]={1,2,3}', '{{{1},{2}},{{3},{4}}}', '{NULL}']),
    pick(random, ['{}', '{sad,NULL,"very happy"}', '{"quo\'te"}']),
    ...columns.map(({ generate }) =>
      nullable(random, () => {
        const elements = Array.from({ length: integer(random, 0, 4) }, (_, offset) =>
          nullable(random, () => generate(random, index * 4 + offset)),
        )
        return arrayText(elements)
      }),
    ),
  ])
}

async function userTypes(shapes: Shapes, rows: number): Promise<void> {
  await shapes.table(
    'shapes',
    'user_types',
    `(n integer primary key, mood shapes.mood, short shapes.short_text, counts shapes.counts, pair shapes.pair,
      pairs shapes.pair[], shorts shapes.short_text[])`,
  )
  const names = ['n', 'mood', 'short', 'counts', 'pair', 'pairs', 'shorts']
  const shortText = generatorOf('varchar(60)')
  await shapes.fill('shapes', 'user_types', names, rows, (random, index) => {
    const pair = pick(random, [
      '("a, b","(1.50,""2024-01-01 00:00:00+00"")","{x,NULL,""y z""}","{""a"": 1.10}",ok)',
      '(,,,,)',
      '("",,{},null,"very happy")',
      '("quo\\"te","(NaN,infinity)",,[],)',
    ])
    return [
      String(index),
      nullable(random, () => pick(random, ['sad', 'ok', 'very happy', "quo'te"])),
      nullable(random, () => shortText(random, index)),
      nullable(random, () => '{1,2,NULL}'),
      nullable(random, () => pair),
      nullable(random, () => arrayText([pair, null])),
      nullable(random, () => arrayText([shortText(random, index), null])),
    ]
  })
}

async function singleKeys(shapes: Shapes, rows: number): Promise<void> {
  for (const type of keyTypes) {
    const name = `key_${columnName(type)}`
    const generate = generatorOf(type)
    await shapes.table('shapes', name, `(k ${type} primary key, note text)`)
    await shapes.fill('shapes', name, ['k', 'note'], rows, (random, index) => [generate(random, index), `row ${index}`])
  }
  await shapes.table('shapes', 'key_mood', '(id shapes.mood primary key, note text)')
  await shapes.fill('shapes', 'key_mood', ['id', 'note'], 2, (_, index) => [index === 0 ? 'sad' : "quo'te", null])
  await shapes.table('shapes', 'key_domain', '(id shapes.short_text primary key)')
  await shapes.fill('shapes', 'key_domain', ['id'], rows, (random, index) => [
    generatorOf('varchar(60)')(random, index),
  ])
}

async function compositeKeys(shapes: Shapes, rows: number): Promise<void> {
  const combinations: readonly (readonly TypeName[])[] = [
    ['integer', 'text'],
    ['uuid', 'date', 'numeric'],
    ['boolean', 'bytea'],
    ['timestamptz', 'smallint', 'char(12)', 'bigint'],
  ]
  for (const [number, combination] of combinations.entries()) {
    const name = `composite_${number + 1}`
    const columns = combination.map((type, index) => ({ name: `k${index}`, type, generate: generatorOf(type) }))
    const keys = columns.map((column) => column.name)
    const definition = columns.map((column) => `${column.name} ${column.type}`)
    // In another order than the columns.
    await shapes.table(
      'shapes',
      name,
      `(note text, ${definition.join(', ')}, primary key (${[...keys].reverse().join(', ')}))`,
    )
    await shapes.fill('shapes', name, [...keys, 'note'], rows, (random, index) => [
      ...columns.map(({ generate }) => generate(random, index)),
      nullable(random, () => 'a note'),
    ])
  }
}

/** Types of the extensions that this server has. */
async function extensions(shapes: Shapes, rows: number): Promise<void> {
  const { rows: found } = await shapes.client.query<{ readonly name: string }>(
    "select name from pg_available_extensions where name in ('hstore', 'citext', 'ltree')",
  )
  if (found.length < 3) return
  await shapes.client.query(
    'create schema extensions; create extension hstore schema extensions; create extension citext schema extensions; create extension ltree schema extensions',
  )
  await shapes.table(
    'shapes',
    'extension_types',
    '(tag extensions.citext primary key, attributes extensions.hstore, place extensions.ltree, tags extensions.citext[])',
  )
  await shapes.fill('shapes', 'extension_types', ['tag', 'attributes', 'place', 'tags'], rows, (random, index) => [
    `Tag ${index}`,
    nullable(random, () => pick(random, ['', 'a=>1, b=>NULL', '"__proto__"=>"x y", ""=>""'])),
    nullable(random, () => `top.n${index}`),
    nullable(random, () => '{A,NULL,b}'),
  ])
}

function columnName(type: string): string {
  return type.replace(/\W+/g, '_').replace(/^_|_$/g, '')
}
