/**
 * `npm run bench:source -- [--quick] [--json] [--no-drain]`
 *
 * What capturing changes costs the source: server CPU and WAL, without a trigger, with ours, and with a trigger that does what
 * the Rust tool's does: it logs row images (`to_jsonb` of OLD and NEW) and takes the key out of them. Then how fast a backlog
 * is read. Rounds alternate; CPU is what the kernel counted for the server's process, and the least of the rounds counts, because
 * other load on the machine can only add to it. WAL is a median. Linux only.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { guardTriggers } from '../../src/sources/postgres/schema.sql.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import { type DrainFigures, measureDrain } from './source-drain.js'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'no-drain': { type: 'boolean', default: false },
  },
})
const sizes = flags.quick
  ? { rounds: 6, bulkRows: 5_000, singles: 250, wideUpdates: 20, drainRows: 100_000 }
  : { rounds: 9, bulkRows: 60_000, singles: 1_500, wideUpdates: 240, drainRows: 1_000_000 }

/** A trigger of each kind on a table of its own. */
const variants = ['none', 'key', 'image'] as const
type Variant = (typeof variants)[number]

const columns = `id int primary key, n int, amount numeric(12,2), price float8, active boolean, name text, note text, tag varchar(20),
  made timestamptz, day date, code uuid`
const row = `i, i % 1000, (i % 100000)::numeric / 100, i / 3.0, i % 2 = 0, 'name of row number ' || i, repeat('note ', 12), 'tag ' || (i % 50),
  timestamptz '2024-01-01' + i * interval '1 second', date '2024-01-01' + i % 365, md5(i::text)::uuid`

/** As the Rust tool's: a serial number, the branches, the check of the key, and the row as what the function returns. */
const imageTrigger = `
create table image_changes (sequence_id bigserial primary key, table_name text not null, operation text not null,
  row_id jsonb not null, old_data jsonb, new_data jsonb, changed_at timestamptz default now());
create function log_image() returns trigger language plpgsql as $$
  declare image jsonb; key jsonb;
  begin
    if tg_op = 'INSERT' then
      image := to_jsonb(new);
      key := jsonb_build_array(image ->> 'id');
      if key @> 'null'::jsonb then raise exception 'a key of % is null', tg_table_name; end if;
      insert into image_changes (table_name, operation, row_id, new_data) values (tg_table_name, tg_op, key, image);
      return new;
    elsif tg_op = 'UPDATE' then
      image := to_jsonb(new);
      key := jsonb_build_array(image ->> 'id');
      if key @> 'null'::jsonb then raise exception 'a key of % is null', tg_table_name; end if;
      insert into image_changes (table_name, operation, row_id, old_data, new_data) values (tg_table_name, tg_op, key, to_jsonb(old), image);
      return new;
    end if;
    image := to_jsonb(old);
    key := jsonb_build_array(image ->> 'id');
    if key @> 'null'::jsonb then raise exception 'a key of % is null', tg_table_name; end if;
    insert into image_changes (table_name, operation, row_id, old_data) values (tg_table_name, tg_op, key, image);
    return old;
  end $$;
create trigger log_image after insert or update or delete on t_image for each row execute function log_image();
create trigger log_image after insert or update or delete on w_image for each row execute function log_image();`

interface Work {
  readonly name: string
  /** Changes in one run of it. */
  readonly changes: number
  run(client: pg.Client, variant: Variant): Promise<void>
}

const works: readonly Work[] = [
  statement(
    'bulk INSERT',
    (variant) => `insert into t_${variant} select ${row} from generate_series(1, ${sizes.bulkRows}) i`,
  ),
  statement('bulk UPDATE', (variant) => `update t_${variant} set n = n + 1`),
  singles('single-row UPDATE', 'update t_$variant set n = n + 1 where id = $1'),
  singles('single-row DELETE', 'delete from t_$variant where id = $1'),
  singles('single-row INSERT', `insert into t_$variant select ${row} from (values ($1::int)) s(i)`),
  statement('bulk DELETE', (variant) => `delete from t_${variant}`),
  {
    name: 'UPDATE beside a 200 kB text',
    changes: sizes.wideUpdates,
    async run(client, variant) {
      for (let turn = 0; turn < sizes.wideUpdates; turn++) await client.query(`update w_${variant} set n = n + 1`)
    },
  },
]

function statement(name: string, sql: (variant: Variant) => string): Work {
  return {
    name,
    changes: sizes.bulkRows,
    async run(client, variant) {
      await client.query(sql(variant))
    },
  }
}

function singles(name: string, sql: string): Work {
  return {
    name,
    changes: sizes.singles,
    async run(client, variant) {
      const text = sql.replaceAll('$variant', variant)
      for (let id = 1; id <= sizes.singles; id++) await client.query({ name: `${name} ${variant}`, text, values: [id] })
    },
  }
}

interface Cost {
  readonly cpuMicros: number
  readonly walBytes: number
}

interface Figures {
  readonly work: string
  /** For each change. */
  readonly perChange: Readonly<Record<Variant, Cost>>
  readonly addedMicros: { readonly key: number; readonly image: number }
  readonly addedWalBytes: { readonly key: number; readonly image: number }
  /** Added CPU of our trigger by that of the row-image trigger. */
  readonly ratio: number
}

await using server = await startPostgres({
  settings: { autovacuum: 'off', checkpoint_timeout: '1h', max_wal_size: '8GB', shared_buffers: '256MB', jit: 'off' },
})
const url = await server.createDatabase('bench')
const client = new pg.Client({ connectionString: url })
await client.connect()
const figures = await measureWorks(client, url)
await client.end()
const drains: DrainFigures[] = []
if (!flags['no-drain']) drains.push(...(await measureDrain(server, sizes.drainRows)))
const targets = targetsOf(figures)
if (flags.json) console.log(JSON.stringify({ version: server.version, sizes, figures, drains, targets }, null, 2))
else print(figures, drains, targets)

async function measureWorks(client: pg.Client, url: string): Promise<readonly Figures[]> {
  for (const variant of variants) {
    await client.query(
      `create table t_${variant} (${columns}); create table w_${variant} (id int primary key, n int, body text)`,
    )
  }
  await client.query(imageTrigger)
  const sink = new MemorySink()
  const source = new PostgresTriggerSource({ url, tables: ['t_key', 'w_key'] })
  await new SyncEngine({ source, sink, checkpoints: sink }).run({ phase: 'full' })
  await client.query(
    'alter table w_none alter body set storage external; alter table w_key alter body set storage external; alter table w_image alter body set storage external',
  )
  for (const variant of variants)
    await client.query(`insert into w_${variant} values (1, 0, repeat('0123456789', 20000))`)

  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const pid = rows[0]?.pid ?? 0
  const samples = new Map<string, Record<Variant, Cost[]>>(
    works.map(({ name }) => [name, { none: [], key: [], image: [] }]),
  )
  // The first round warms caches and plans, and is not counted.
  for (let round = 0; round <= sizes.rounds; round++) {
    for (const work of works) {
      for (const variant of rotated(round)) {
        const before = await costOf(client, pid)
        await work.run(client, variant)
        const after = await costOf(client, pid)
        if (round === 0) continue
        samples.get(work.name)?.[variant].push({
          cpuMicros: (after.cpuMicros - before.cpuMicros) / work.changes,
          walBytes: (after.walBytes - before.walBytes) / work.changes,
        })
      }
    }
    // All alike, both logs too: a row that goes where another was, or whose file has outgrown the buffers, is dearer.
    await client.query('truncate t_none, t_key, t_image, image_changes')
    await emptyAuditTable(client)
    for (const variant of variants) await client.query(`vacuum w_${variant}`)
  }
  return works.map(({ name }) => figuresOf(name, samples.get(name) ?? { none: [], key: [], image: [] }))
}

/** As if pruned to nothing. Its guard refuses TRUNCATE, and is as it was afterwards. */
async function emptyAuditTable(client: pg.Client): Promise<void> {
  const table = 'alter table surreal_sync_changes'
  const enabled = Object.values(guardTriggers).map((name) => `${table} enable always trigger ${name};`)
  await client.query(`begin; ${table} disable trigger user; truncate surreal_sync_changes; ${enabled.join(' ')} commit`)
}

function rotated(round: number): readonly Variant[] {
  return variants.map((_, index) => variants[(index + round) % variants.length] ?? 'none')
}

/** What the backend has used so far, and where the WAL is. */
async function costOf(client: pg.Client, pid: number): Promise<Cost> {
  const { rows } = await client.query<{ lsn: string }>(`select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as lsn`)
  const text = await readFile(`/proc/${pid}/schedstat`, 'utf8')
  return { cpuMicros: Number(text.split(' ')[0]) / 1_000, walBytes: Number(rows[0]?.lsn) }
}

function figuresOf(work: string, samples: Record<Variant, Cost[]>): Figures {
  const costOfAll = (costs: readonly Cost[]): Cost => ({
    cpuMicros: Math.min(...costs.map(({ cpuMicros }) => cpuMicros)),
    walBytes: median(costs.map(({ walBytes }) => walBytes)),
  })
  const perChange = { none: costOfAll(samples.none), key: costOfAll(samples.key), image: costOfAll(samples.image) }
  const { none, key, image } = perChange
  const addedMicros = { key: key.cpuMicros - none.cpuMicros, image: image.cpuMicros - none.cpuMicros }
  const addedWalBytes = { key: key.walBytes - none.walBytes, image: image.walBytes - none.walBytes }
  return { work, perChange, addedMicros, addedWalBytes, ratio: addedMicros.key / addedMicros.image }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

interface Target {
  readonly name: string
  readonly value: number
  readonly most: number
  readonly reached: boolean
}

function targetsOf(figures: readonly Figures[]): readonly Target[] {
  const find = (name: string) => figures.find(({ work }) => work === name)
  const target = (name: string, value: number | undefined, most: number): Target => {
    const number = value ?? Number.NaN
    return { name, value: number, most, reached: number <= most }
  }
  const wal = Math.max(...figures.map(({ addedWalBytes }) => addedWalBytes.key))
  return [
    target('added CPU of bulk INSERT, ours by row image', find('bulk INSERT')?.ratio, 1 / 2),
    target('added CPU of bulk UPDATE, ours by row image', find('bulk UPDATE')?.ratio, 1 / 2),
    target('added CPU beside a 200 kB text, ours by row image', find('UPDATE beside a 200 kB text')?.ratio, 1 / 50),
    target('WAL bytes added by a change, at most', wal, 200),
  ]
}

function print(figures: readonly Figures[], drains: readonly DrainFigures[], targets: readonly Target[]): void {
  const line = (...cells: readonly string[]) =>
    console.log(cells.map((cell, index) => (index === 0 ? cell.padEnd(30) : cell.padStart(12))).join(''))
  console.log(
    `PostgreSQL ${server.version}; server CPU in microseconds and WAL in bytes, for each change; the least CPU and the median WAL of ${sizes.rounds} rounds\n`,
  )
  line('', 'none', 'ours +', 'image +', 'ours/image', 'WAL ours +', 'WAL image +')
  for (const { work, perChange, addedMicros, addedWalBytes, ratio } of figures) {
    line(
      work,
      perChange.none.cpuMicros.toFixed(2),
      addedMicros.key.toFixed(2),
      addedMicros.image.toFixed(2),
      ratio.toFixed(3),
      addedWalBytes.key.toFixed(0),
      addedWalBytes.image.toFixed(0),
    )
  }
  if (drains.length > 0) console.log('')
  for (const { keys, auditRows, upserts, seconds, nodeCpuSeconds, serverCpuSeconds, rssMegabytes } of drains) {
    const rate = Math.round(auditRows / seconds).toLocaleString('en')
    console.log(
      `drain of ${auditRows} audit rows, ${keys} keys: ${seconds.toFixed(1)} s (${rate}/s), ${upserts} rows written; CPU: node ${nodeCpuSeconds.toFixed(1)} s, server ${serverCpuSeconds.toFixed(1)} s; RSS at most ${rssMegabytes.toFixed(0)} MB`,
    )
  }
  console.log('')
  for (const { name, value, most, reached } of targets) {
    console.log(
      `${reached ? 'reached    ' : 'NOT REACHED'}  ${name}: ${value.toFixed(3)} (target: at most ${most.toFixed(3)})`,
    )
  }
}
