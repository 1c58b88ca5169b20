/** Everything that a run could leave behind on either side, as text to compare. */
import type { ClientBase } from 'pg'
import { withClient } from './shop.js'
import { openServer } from './target.js'

const foreign = `nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and nspname not like 'pg_temp%'`

const catalogSql = `
select 'schema' as kind, nspname::text as name, nspacl::text as detail from pg_namespace where ${foreign}
union all
select 'relation', c.oid::regclass::text, concat_ws(' ', c.relkind, c.relfilenode, c.relacl, c.relhastriggers)
from pg_class c join pg_namespace n on n.oid = c.relnamespace where ${foreign}
union all
select 'function', p.oid::regprocedure::text, md5(p.prosrc) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${foreign}
union all
select 'trigger', t.tgrelid::regclass || ' ' || t.tgname, t.tgenabled::text from pg_trigger t
order by 1, 2, 3`

const tablesSql = `
select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where ${foreign} and c.relkind in ('r', 'p') order by 1`

/** Objects, privileges and row counts of a PostgreSQL database. */
export async function observeSource(url: string): Promise<readonly string[]> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query<{ kind: string; name: string; detail: string | null }>(catalogSql)
    return [...rows.map(({ kind, name, detail }) => `${kind} ${name} ${detail ?? ''}`), ...(await rowCounts(client))]
  })
}

async function rowCounts(client: ClientBase): Promise<readonly string[]> {
  const counts: string[] = []
  for (const { name } of (await client.query<{ name: string }>(tablesSql)).rows) {
    const { rows } = await client.query(
      `select count(*), md5(string_agg(t::text, ',' order by t::text)) from ${name} t`,
    )
    counts.push(`rows of ${name} ${Object.values(rows[0]).join(' ')}`)
  }
  return counts
}

/** Definitions and records of all namespaces and databases of a SurrealDB server. */
export async function observeTarget(url: string): Promise<readonly string[]> {
  await using root = await openServer(url)
  const lines: string[] = []
  const [server] = await root.db.query<[Info]>('info for root')
  lines.push(...definitions('root', server))
  for (const namespace of Object.keys(server.namespaces ?? {})) {
    await root.db.use({ namespace })
    const [space] = await root.db.query<[Info]>('info for ns')
    lines.push(...definitions(namespace, space))
    for (const database of Object.keys(space.databases ?? {})) {
      await root.db.use({ namespace, database })
      const [content] = await root.db.query<[Info]>('info for db')
      lines.push(...definitions(`${namespace}/${database}`, content))
      for (const table of Object.keys(content.tables ?? {})) {
        const records = await root.db.query(`select * from \`${table}\``).json()
        lines.push(`records of ${namespace}/${database}/${table} ${JSON.stringify(records)}`)
      }
    }
  }
  return lines
}

type Info = Readonly<Record<string, Readonly<Record<string, string>>>>

function definitions(where: string, info: Info): readonly string[] {
  return Object.entries(info)
    .filter(([kind]) => kind !== 'system' && kind !== 'nodes')
    .flatMap(([kind, found]) => Object.entries(found).map(([name, text]) => `${where} ${kind} ${name} ${text}`))
}
