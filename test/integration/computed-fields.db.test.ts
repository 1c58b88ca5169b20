/** Fields that SQL works out: alike in both phases, of every type, through changes of structure; what is refused; errors. */
import { describe, expect, it } from 'vitest'
import type { Shaping } from '../../src/index.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const maskSecret = 'a secret of tests only'

async function open(sql: string, shaping: Shaping) {
  const database = await createDatabase()
  const client = await database.client()
  await client.query(sql)
  const replica = await SurrealReplica.open({ url: database.url, source: { shaping, maskSecret } })
  return {
    client,
    replica,
    configure: (other: Shaping) => replica.configure({ source: { shaping: other, maskSecret } }),
    async [Symbol.asyncDispose]() {
      await replica[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

const orders = `create table orders (id int primary key, price numeric(8,2), quantity int, placed timestamptz, took interval, note text)`
const insert = (from: number, to: number) =>
  `insert into orders select i, i + 0.25, i * 2, ('2024-03-0' || i || ' 10:00+02')::timestamptz, (i || ' days 1 hour')::interval, 'note ' || i
   from generate_series(${from}, ${to}) i`

describe('a field in SQL', () => {
  it('is worked out alike in both phases, before masks, and is there for functions', async () => {
    await using pair = await open(`${orders}; ${insert(1, 2)}`, {
      orders: {
        columns: ['quantity', 'note'],
        where: `took::text <> '9 days 01:00:00'`,
        rename: { quantity: 'count' },
        mask: { note: null },
        compute: {
          total: { sql: 'price * quantity' },
          note: { sql: 'upper(t.note)' },
          double: (row) => `${row.total} ${row.count}`,
        },
      },
    })
    const { client, replica } = pair
    const record = (n: number, note = `NOTE ${n}`) => {
      const total = ((n + 0.25) * n * 2).toFixed(2)
      const decimal = Number(total)
      return `{ count: ${n * 2}, double: '${total} ${n * 2}', id: orders:${n}, note: '${note}', total: ${decimal}dec }`
    }
    await replica.full()
    expect(await replica.printed('SELECT * FROM orders')).toBe(`[${record(1)}, ${record(2)}]`)
    // The last one by a column that is not replicated.
    await client.query(`${insert(3, 4)}; delete from orders where id = 1; update orders set note = 'x' where id = 2`)
    await replica.catchUp()
    const after = `[${record(2, 'X')}, ${record(3)}, ${record(4)}]`
    expect(await replica.printed('SELECT * FROM orders')).toBe(after)
    await client.query(
      `update orders set price = 10 where id = 3; update orders set took = '9 days 1 hour' where id = 4`,
    )
    await replica.catchUp()
    expect(await replica.printed('SELECT VALUE total FROM orders')).toBe('[9dec, 60dec]')
    await replica.full()
    expect(await replica.printed('SELECT VALUE total FROM orders')).toBe('[9dec, 60dec]')
  })

  it('has the type of its expression, whichever that is, and is compared by verify', async () => {
    const compute = {
      money: { sql: 'price' },
      whole: { sql: 'quantity::bigint * 3_000_000_000'.replaceAll('_', '') },
      text: { sql: `note || ' (' || took::text || ')'` },
      literal: { sql: `'a constant'` },
      moment: { sql: `placed + interval '1 day'` },
      day: { sql: 'placed::date' },
      span: { sql: 'took * 2' },
      list: { sql: 'array[quantity, null, 7]' },
      json: { sql: `jsonb_build_object('n', quantity, 'note', note)` },
      span_of: { sql: 'int4range(quantity, quantity + 5)' },
      mood: { sql: `case when quantity > 2 then 'good'::public.mood end` },
      composite: { sql: 'row(quantity, note)::public.pair' },
      flag: { sql: `note ~ '2' and price > 1` },
      sum: { sql: 'public.add(quantity, 1)' },
      ratio: { sql: 'quantity::float8 / 3' },
      bytes: { sql: `decode('00ff', 'hex')` },
      nothing: { sql: 'null::uuid' },
      whole_row: { sql: "to_jsonb(t) - array['took', 'placed']" },
    }
    await using pair = await open(
      `create type mood as enum ('good'); create type pair as (n int, label text);
       create function add(int, int) returns int immutable language sql as 'select $1 + $2';
       ${orders}; ${insert(1, 3)}`,
      { orders: { columns: ['id'], compute } },
    )
    const { client, replica } = pair
    await replica.full()
    await client.query('update orders set quantity = 9 where id = 3')
    await replica.catchUp()
    expect(await replica.printed('SELECT * FROM orders WHERE id != orders:1')).toBe(
      `[${[
        [2, 4, `'good'`, 'true', '1.3333333333333333f', '12000000000', '4', '9', '5', '2.25'],
        [3, 9, `'good'`, 'false', '3f', '27000000000', '9', '14', '10', '3.25'],
      ]
        .map(
          ([n, quantity, mood, flag, ratio, whole, start, end, sum, price]) =>
            `{ bytes: b"00FF", composite: { label: 'note ${n}', n: ${quantity} }, day: d'2024-03-0${n}T00:00:00Z', flag: ${flag}, ` +
            `id: orders:${n}, json: { n: ${quantity}, note: 'note ${n}' }, list: [${quantity}, NULL, 7], literal: 'a constant', ` +
            `moment: d'2024-03-0${Number(n) + 1}T08:00:00Z', money: ${price}dec, mood: ${mood}, nothing: NULL, ratio: ${ratio}, ` +
            `span: ${n === 2 ? '4d2h' : '6d2h'}, span_of: ${start}..${end}, sum: ${sum}, ` +
            `text: 'note ${n} (${n} days 01:00:00)', whole: ${whole}, ` +
            `whole_row: { id: ${n}, note: 'note ${n}', price: ${price}dec, quantity: ${quantity} } }`,
        )
        .join(', ')}]`,
    )
    expect(await replica.verify()).toMatchObject({ equal: true, rows: 3 })
    await replica.db.query('UPDATE orders:2 SET sum = 6, span = 4d')
    expect(await replica.verify()).toMatchObject({
      differences: 1,
      listed: [{ key: '2', fields: expect.arrayContaining(['sum', 'span']) }],
    })
  })

  it('follows changes of structure: a column that it is made of, the row as a whole, a column that is gone', async () => {
    await using pair = await open(`${orders}; ${insert(1, 2)}; create table plain (id int primary key, v int)`, {
      orders: { columns: ['id'], compute: { doubled: { sql: 'quantity * 2' } } },
      plain: { compute: { all: { sql: 'to_jsonb(t)' } } },
    })
    const { client, replica } = pair
    await client.query('insert into plain values (1, 1)')
    await replica.full()
    const engine = replica.engine()
    const run = engine.run({ phase: 'incremental', follow: true })
    run.catch(() => undefined)
    await new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
    const until = async (expression: string, printed: string) =>
      expect.poll(() => replica.printed(expression), { timeout: 20_000 }).toBe(printed)
    await client.query('alter table orders alter quantity type numeric using quantity + 0.5')
    await until('SELECT VALUE doubled FROM orders', '[5dec, 9dec]')
    await client.query('alter table plain add column w int')
    await until('SELECT VALUE all FROM plain', '[{ id: 1, v: 1, w: NULL }]')
    await client.query('alter table orders drop column quantity; insert into orders (id) values (9)')
    await expect(run).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringMatching(/^The field doubled of public\.orders cannot be used: column "quantity" does not/),
      details: { table: 'public.orders', column: 'doubled' },
    })
  })

  it('that is another one now has the table copied again, and only then', async () => {
    await using pair = await open(`${orders}; ${insert(1, 2)}`, {
      orders: { columns: ['id'], compute: { n: { sql: 'quantity' } } },
    })
    const { replica, configure } = pair
    await replica.full()
    await replica.catchUp()
    expect(replica.warnings.map(({ code }) => code)).not.toContain('table_replaced')
    configure({ orders: { columns: ['id'], compute: { n: { sql: 'quantity + 1' } } } })
    await replica.catchUp()
    expect(replica.warnings.map(({ code }) => code)).toContain('table_replaced')
    expect(await replica.printed('SELECT VALUE n FROM orders')).toBe('[3, 5]')
  })

  it('that fails for some row stops the run, by its name and without the values', async () => {
    await using pair = await open(`${orders}; ${insert(1, 2)}`, {
      orders: { compute: { each: { sql: 'price / quantity' } } },
    })
    const { client, replica } = pair
    await replica.full()
    await client.query('update orders set quantity = 0 where id = 2')
    const failure = {
      code: 'E_SOURCE',
      message: expect.stringMatching(
        /public\.orders and working out the field each: the statement failed \(SQLSTATE 22012\)/,
      ),
      details: { table: 'public.orders', column: 'each', hint: expect.stringContaining('nullif') },
    }
    await expect(replica.catchUp()).rejects.toMatchObject(failure)
    await expect(replica.full()).rejects.toMatchObject(failure)
    await client.query('update orders set quantity = 5 where id = 2')
    await replica.full()
    expect(await replica.printed('SELECT VALUE each FROM orders')).toMatch(/^\[0\.625\d*dec, 0\.45\d*dec\]$/)
  })
})

describe('a field is refused', () => {
  const cases: readonly (readonly [sql: unknown, message: string])[] = [
    ['price; drop table orders', 'it contains a semicolon'],
    ['price), (note', 'it closes a parenthesis'],
    ['(price', 'it opens a parenthesis'],
    ['price -- ', 'it contains a comment'],
    ['', 'it is empty'],
    [7, 'it is no text'],
    ['(select 1)', 'it contains a subquery'],
    ['now()', 'it calls now, which is not immutable'],
    ['random()', 'it calls random, which is not immutable'],
    [`current_setting('x')`, 'it calls current_setting'],
    ['current_user', 'it contains current_user'],
    ['xmin::text', 'it contains xmin'],
    ['sum(price)', 'aggregate functions are not allowed'],
    ['row_number() over ()', 'window functions are not allowed'],
    ['generate_series(1, quantity)', 'set-returning functions are not allowed'],
    [`regexp_split_to_table(note, ',')`, 'set-returning functions are not allowed'],
    ['price, note', 'its type is record, of which nobody knows the fields'],
    ['array[row(price, note)]', 'its type is record[]'],
    ['prise * 2', 'column "prise" does not exist'],
    ['price * note', 'operator does not exist'],
    ['1 / 0', 'the statement failed (SQLSTATE 22012)'],
    ['price as total', 'syntax error'],
  ]
  it('by the names of table and field, before anything is written', async () => {
    await using pair = await open(orders, {})
    const { client, replica, configure } = pair
    for (const [sql, message] of cases) {
      configure({ orders: { compute: { total: { sql } as { readonly sql: string } } } })
      await expect(replica.engine().plan({ phase: 'full' }), String(sql)).rejects.toMatchObject({
        code: 'E_CONFIG',
        message: expect.stringContaining(`The field total of public.orders cannot be used: ${message}`),
        details: { table: 'public.orders', column: 'total' },
      })
    }
    configure({ orders: { rename: { id: 'number' }, compute: { number: { sql: 'quantity' } } } })
    await expect(replica.full()).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: 'The field number of public.orders belongs to its key and cannot be computed',
    })
    const installed = await client.query(`select from pg_trigger where tgname ~ 'surreal_sync'`)
    expect(installed.rowCount).toBe(0)
  })
})
