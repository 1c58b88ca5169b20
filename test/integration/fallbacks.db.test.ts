/** Values that SurrealDB cannot hold as they are: their columns are counted, in both phases, and their values kept quiet. */
import { expect, it } from 'vitest'
import { fallbackReasons } from '../../src/sinks/surreal/types.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'

/** Column, type, a value that fits, one that does not, and why. */
const columns = [
  ['too_long', 'numeric', '1', `${'7'.repeat(40)}`, 'decimal'],
  ['not_a_number', 'numeric', '1', 'NaN', 'notANumber'],
  ['endless', 'timestamptz', '2024-01-01', 'infinity', 'infinity'],
  ['too_late', 'date', '2024-01-01', '277777-07-07', 'infinity'],
  ['months', 'interval', '1 day', '7 months', 'interval'],
  ['negative', 'interval[]', '{1 day}', '{1 day,-7 days,-8 days}', 'interval'],
  ['deep', 'jsonb', '[]', `${'['.repeat(150)}"secret"${']'.repeat(150)}`, 'depth'],
  ['digits', 'jsonb', '{"n": 1}', `{"n": ${'7'.repeat(40)}}`, 'decimal'],
  ['half', 'json', '"a"', '"secret \\ud83d"', 'text'],
  ['shape', 'point', '(1,2)', '(7777,Infinity)', 'geometry'],
  ['span', 'int4range', '[1,2)', 'empty', 'emptyRange'],
] as const

it('are counted by table, column and reason, never shown', async () => {
  await using database = await createDatabase()
  const client = await database.client()
  const definition = columns.map(([name, type]) => `${name} ${type}`)
  await client.query(`create table odd (id int primary key, ${definition.join(', ')})`)
  const insert = async (id: number, which: 2 | 3) => {
    const places = columns.map((_, index) => `$${index + 1}`)
    await client.query(
      `insert into odd values (${id}, ${places.join(', ')})`,
      columns.map((column) => column[which]),
    )
  }
  await insert(1, 2)
  await using replica = await SurrealReplica.open({ url: database.url })
  const fallbacks = async (run: Promise<unknown>) => {
    replica.warnings.length = 0
    await run
    const found = replica.warnings.filter(({ code }) => code === 'value_fallback')
    expect(JSON.stringify(found)).not.toMatch(/777|secret/)
    return new Map(found.map((warning) => [warning.column, warning]))
  }
  expect(await fallbacks(replica.full())).toEqual(new Map())
  await insert(2, 3)
  for (const phase of ['full', 'catchUp'] as const) {
    if (phase === 'catchUp') {
      await replica.full()
      await client.query('update odd set id = 3 where id = 2')
    }
    const found = await fallbacks(replica[phase]())
    for (const [column, , , , reason] of columns) {
      const count = column === 'negative' ? 2 : 1
      expect(found.get(column), `${phase} ${column}`).toEqual({
        code: 'value_fallback',
        message: `${count} ${count === 1 ? 'value' : 'values'} of public.odd.${column} ${fallbackReasons[reason]}`,
        table: 'public.odd',
        column,
        count,
      })
    }
    expect(found.size).toBe(columns.length)
  }
})
