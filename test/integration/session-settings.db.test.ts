/** What a session writes is what it means, however the session is set to print and read it. */
import { expect, it } from 'vitest'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'

/** Each session has one of these sets; the first is the server's. */
const sessions: readonly (readonly string[])[] = [
  [],
  [`datestyle = 'German'`, `intervalstyle = 'sql_standard'`, `timezone = 'Asia/Kathmandu'`],
  [
    `datestyle = 'Postgres, DMY'`,
    `intervalstyle = 'postgres_verbose'`,
    `timezone = 'America/St_Johns'`,
    `extra_float_digits = -15`,
  ],
  [`datestyle = 'SQL, MDY'`, `intervalstyle = 'iso_8601'`, `timezone = 'Pacific/Apia'`, `bytea_output = 'escape'`],
  [`client_encoding = 'LATIN1'`, `lc_numeric = 'C'`, `extra_float_digits = 0`, `standard_conforming_strings = off`],
  [
    `client_encoding = 'WIN1252'`,
    `search_path = ''`,
    `xmloption = 'document'`,
    `array_nulls = off`,
    `quote_all_identifiers = on`,
  ],
  [`lc_monetary = 'POSIX'`, `lc_time = 'POSIX'`, `client_encoding = 'EUC_JP'`],
  [`client_encoding = 'SJIS'`, `row_security = off`, `session_replication_role = replica`, `statement_timeout = '5s'`],
]

/** Locales that not every system has, with as many fraction digits of money as the server's own. */
const localesToTry = ['de_DE.UTF-8', 'en_US.UTF-8', 'hi_IN.UTF-8']

const tryLocale = (locale: string) =>
  `do $$ begin set lc_monetary = '${locale}'; exception when others then null; end $$`

/** Built from parts that no setting touches. */
const columns = {
  at: `timestamptz 'epoch' + make_interval(secs => 1641603723.456789)`,
  local: 'make_timestamp(2024, 2, 3, 4, 5, 6.789012)',
  day: 'make_date(2024, 2, 3)',
  took: 'make_interval(days => 3, secs => 7.5)',
  long_took: 'make_interval(months => -5, days => 3)',
  bytes: `decode('00ff5c27', 'hex')`,
  single: '(1::float8 / 3)::float4',
  double: '(1::float8 / 3)',
  price: '(1234567.89::numeric)::money',
  letters: 'chr(233) || chr(228)',
  flags: 'array[true, null]',
  span: `tstzrange('epoch', timestamptz 'epoch' + make_interval(secs => 86400))`,
  clock: `timetz '12:00:00+05:45'`,
  doc: `jsonb_build_object('n', 1.10, 'at', chr(233))`,
}

it('all sessions write the same records, keys included', async () => {
  await using database = await createDatabase()
  const owner = await database.client()
  const definition = Object.entries(columns).map(([name, value]) => `${value} as ${name}`)
  await owner.query(
    `create table t as select 0 as n, ${definition.join(', ')}; delete from t; alter table t add primary key (at, n, took, bytes, double)`,
  )
  const write = async (phase: number) => {
    for (const [index, settings] of sessions.entries()) {
      const client = await database.client()
      await client.query(tryLocale(localesToTry[index % localesToTry.length] ?? 'C'))
      for (const setting of settings) await client.query(`set ${setting}`)
      const values = Object.values(columns).join(', ')
      await client.query(`insert into public.t select ${phase * 100 + index}, ${values}`)
      await client.query(`insert into public.t select ${phase * 100 + index + 50}, ${values}`)
      if (phase === 2) await client.query(`delete from public.t where n in (${100 + index + 50}, ${200 + index + 50})`)
      await client.end()
    }
  }
  await write(1)
  // The reader's own defaults must not matter either.
  await owner.query(`alter database ${database.name} set datestyle = 'German'; alter database ${database.name} set timezone = 'Asia/Tokyo';
    alter database ${database.name} set intervalstyle = 'sql_standard'; alter database ${database.name} set bytea_output = 'escape';
    alter database ${database.name} set extra_float_digits = -10; alter database ${database.name} set client_encoding = 'LATIN1'`)
  await using replica = await SurrealReplica.open({ url: database.url })
  await replica.full()
  await replica.expectEqual()
  await write(2)
  await replica.catchUp()
  const { rows } = await replica.expectEqual()
  expect(rows).toBe(2 * sessions.length)
  const [records] = await replica.db.query<[string[]]>(
    'SELECT VALUE <string>object::remove(object::remove($this, "id"), "n") FROM t',
  )
  expect(new Set(records).size).toBe(1)
  expect(records[0]).toContain(`single: 0.33333334f`)
  expect(records[0]).toContain(`at: d'2022-01-08T01:02:03.456789Z'`)
  expect(records[0]).toContain(`price: 1234567.89dec`)
})
