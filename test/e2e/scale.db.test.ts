/** Many tables and many rows, in bounded memory, with output that suits where it goes. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase } from '../support/database.js'
import { startSurreal } from '../support/surreal-server.js'
import { type Command, commandLine, start, startProgram, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { createShop, execute } from './shop.js'
import { openTarget } from './target.js'

const tableCount = 100
const rowsPerTable = 5_000
const memoryMibMax = 300
const scaleMsMax = 600_000
const sampleMs = 50
/** Of progress, in the log of a process that nobody watches. */
const intervalMs = 10_000

const manyTables = `
do $$
begin
  for t in 1..${tableCount} loop
    execute format('create table table_%s (id bigint primary key, name text, amount numeric(12, 2), at timestamptz, doc jsonb)', t);
    execute format(
      'insert into table_%s
       select i, ''name '' || i, i * 1.01, timestamptz ''2024-01-01 00:00:00+00'' + i * interval ''1 minute'',
         jsonb_build_object(''n'', i, ''even'', i %% 2 = 0)
       from generate_series(1, ${rowsPerTable}) i', t);
  end loop;
end $$;
analyze`

/** Figures of a process, from Linux. */
async function memoryKib(pid: number, name: 'VmRSS' | 'VmHWM'): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const figure = new RegExp(String.raw`^${name}:\s+(\d+) kB$`, 'm').exec(status)?.[1]
  return figure === undefined ? undefined : Number(figure)
}

/** The highest figure that was seen until the process ended. */
async function peakKib(command: Command): Promise<number> {
  let peak = 0
  let running = true
  void command.ended.finally(() => {
    running = false
  })
  while (running) {
    peak = Math.max(peak, (await memoryKib(command.pid, 'VmHWM')) ?? 0)
    await pause(sampleMs)
  }
  return peak
}

const isLinux = process.platform === 'linux'

describe(`${tableCount} tables with ${tableCount * rowsPerTable} rows in all`, () => {
  test.skipIf(!isLinux)('take bounded memory, and a line for each table', { timeout: scaleMsMax }, async () => {
    await using database = await createDatabase()
    await execute(database.url, manyTables)
    await using directory = await temporaryDirectory()
    // On files: in memory, SurrealDB takes several times as long for so many rows.
    await using server = await startSurreal({ storage: `surrealkv://${join(directory.path, 'target')}` })
    const flags = connectionFlags(database.url, server.ws)
    const startedAt = performance.now()
    await using command = start(['full', 'postgresql', ...flags, '--emit-checkpoints'], {
      cwd: directory.path,
      timeoutMs: scaleMsMax,
    })
    await command.saw(/\(pipeline /)
    const before = (await memoryKib(command.pid, 'VmRSS')) ?? 0
    const peak = await peakKib(command)
    const { code, stdout, stderr } = await command.ended
    const seconds = (performance.now() - startedAt) / 1_000
    expect(code).toBe(0)
    expect(stdout).toBe('')
    expect(before).toBeGreaterThan(0)
    console.log(
      `full sync: ${seconds.toFixed(1)} s, ${Math.round(before / 1_024)} MiB at the start, ${Math.round(peak / 1_024)} MiB at most`,
    )
    expect((peak - before) / 1_024).toBeLessThan(memoryMibMax)

    const lines = stderr.trimEnd().split('\n')
    expect(lines.filter((line) => /: Copied public\.table_\d+: 5,000 rows in /.test(line))).toHaveLength(tableCount)
    const others = lines.filter((line) => !line.includes(': Copied '))
    const intervals = Math.ceil((seconds * 1_000) / intervalMs)
    expect(others.length).toBeLessThanOrEqual(10 + intervals)
    expect(lines.filter((line) => line.includes('\u001b'))).toEqual([])
    expect(lines.at(-1)).toMatch(/: Finished: 100 tables, 500,000 rows/)

    await using target = await openTarget(server.ws)
    for (let number = 1; number <= tableCount; number += 1) {
      const counted = await target.db.query(`select count() from table_${number} group all`)
      expect(counted).toEqual([[{ count: rowsPerTable }]])
    }
    const tables = [1, 42, tableCount].map((number) => `public.table_${number}`)
    await expectEqualDatabases({ source: database.url, target: target.db, tables })
  })
})

const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'

/** Of util-linux; others have other flags. */
async function hasScript(): Promise<boolean> {
  const { ended } = startProgram('script', ['--version'], { cwd: process.cwd() })
  return await ended.then(
    ({ stdout }) => stdout.includes('util-linux'),
    () => false,
  )
}

describe.skipIf(!(await hasScript()))('on a terminal', () => {
  function startOnTerminal(args: readonly string[], cwd: string): Command {
    const command = [process.execPath, ...commandLine, ...args].map((part) => `'${part}'`).join(' ')
    return startProgram('script', ['-qec', command, '/dev/null'], { cwd, env: { TERM: 'xterm-256color' } })
  }

  test('progress is painted, and the cursor comes back', async () => {
    await using database = await createDatabase()
    await createShop(database.url)
    await using directory = await temporaryDirectory()
    await using server = await startSurreal()
    const flags = connectionFlags(database.url, server.ws)
    await using command = startOnTerminal(['full', 'postgresql', ...flags, '--emit-checkpoints'], directory.path)
    const { code, stdout } = await command.ended
    expect(code).toBe(0)
    expect(stdout.split(hideCursor)).toHaveLength(2)
    expect(stdout.lastIndexOf(showCursor)).toBeGreaterThan(stdout.lastIndexOf(hideCursor))
    for (const name of ['customers', 'orders', 'Stock levels']) expect(stdout).toMatch(new RegExp(`✔.*${name} .*100%`))
    expect(stdout).toMatch(/: Emitted full sync start checkpoint \(t1\): postgresql:sequence:0\r?\n/)
    expect(stdout).toMatch(/: Finished: 3 tables, 3,800 rows/)
  })

  test('an interrupt gives the cursor back, too', async () => {
    await using database = await createDatabase()
    await createShop(database.url)
    await using directory = await temporaryDirectory()
    await using server = await startSurreal()
    const flags = connectionFlags(database.url, server.ws)
    await using command = startOnTerminal(['sync', 'postgresql', ...flags], directory.path)
    await command.printed(/Caught up with the source/)
    command.type('\u0003')
    const { stdout } = await command.ended
    expect(stdout.lastIndexOf(showCursor)).toBeGreaterThan(stdout.lastIndexOf(hideCursor))
    expect(stdout).toMatch(/: Stopped: /)
  })
})
