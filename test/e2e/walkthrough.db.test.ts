/** The walk-through that users are told to follow, word for word, while applications write. */
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import { expectEqualDatabases } from '../support/compare.js'
import { startSurreal } from '../support/surreal-server.js'
import { commandLine, type Ended, startProgram, surrealSync, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { createShop, execute, lastChange, Writers, withClient } from './shop.js'
import { openTarget } from './target.js'

const walkthroughMsMax = 300_000

/** Only the source's address is another one, and the comments between the lines of a command are gone. */
const walkthrough = `
# Full sync (automatically sets up triggers for incremental sync)
surreal-sync full postgresql \\
  --source-uri "$SOURCE_URI" \\
  --source-database "myapp" \\
  --surreal-endpoint "$SURREAL_ENDPOINT" \\
  --surreal-username "root" \\
  --surreal-password "root" \\
  --to-namespace "production" \\
  --to-database "migrated_data" \\
  --emit-checkpoints

# Find the checkpoint file
ls ./.surreal-sync-checkpoints/checkpoint_full_sync_start_*.json

# Extract sequence ID for incremental sync
NUM=$(cat ./.surreal-sync-checkpoints/checkpoint_full_sync_start_*.json | jq -r '.checkpoint.PostgreSQL.sequence')
CHECKPOINT="postgresql:sequence:$NUM"

surreal-sync incremental postgresql \\
  --source-uri "$SOURCE_URI" \\
  --source-database "myapp" \\
  --surreal-endpoint "$SURREAL_ENDPOINT" \\
  --surreal-username "root" \\
  --surreal-password "root" \\
  --to-namespace "production" \\
  --to-database "migrated_data" \\
  --incremental-from "$CHECKPOINT" \\
  --timeout 1m
`

const findTriggers = `
-- Check for triggers
SELECT trigger_name, event_object_table
FROM information_schema.triggers
WHERE trigger_name LIKE 'surreal_sync_%';
`

const grants = `
-- Grant necessary permissions
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sync_user;
GRANT CREATE ON SCHEMA public TO sync_user;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sync_user;
`

/** What the documentation adds to them: without it, only owners may create triggers. */
const furtherGrants = 'GRANT TRIGGER ON ALL TABLES IN SCHEMA public TO sync_user;'

const countChanges = `
-- Check audit table size
SELECT COUNT(*) FROM surreal_sync_changes;
`

const cleanUp = `
-- Clean up old records (after they've been synced)
DELETE FROM surreal_sync_changes WHERE changed_at < NOW() - INTERVAL '30 days';
`

/** A server of its own, because the walk-through names the database. */
async function startMyapp(): Promise<{ server: PostgresServer; url: string } & AsyncDisposable> {
  const server = await startPostgres()
  const url = await server.createDatabase('myapp')
  await createShop(url)
  return { server, url, [Symbol.asyncDispose]: () => server.stop() }
}

/** Puts `surreal-sync`, and `jq` where there is none, into a directory for the PATH. */
async function installPrograms(directory: string): Promise<void> {
  await mkdir(directory)
  const quoted = [process.execPath, ...commandLine].map((part) => `'${part}'`).join(' ')
  await program(directory, 'surreal-sync', `#!/bin/sh\nexec ${quoted} "$@"\n`)
  const jq = startProgram('jq', ['--version'], { cwd: directory })
  const found = await jq.ended.then(
    ({ code }) => code === 0,
    () => false,
  )
  if (found) return
  await program(
    directory,
    'jq',
    `#!${process.execPath}
const [flag, filter] = process.argv.slice(2)
if (flag !== '-r') throw new Error('This stands in for jq -r only.')
let value = JSON.parse(require('fs').readFileSync(0, 'utf8'))
for (const name of filter.split('.').slice(1)) value = value[name] ?? null
console.log(value)
`,
  )
}

async function program(directory: string, name: string, text: string): Promise<void> {
  const path = join(directory, name)
  await writeFile(path, text)
  await chmod(path, 0o755)
}

/** Runs the walk-through in `directory`. Writers write from before its beginning until after its end. */
async function walkThrough(directory: string, url: string, endpoint: string): Promise<Ended> {
  const programs = join(directory, 'bin')
  await installPrograms(programs)
  await using writers = new Writers(url)
  await writers.more(20)
  await using script = startProgram('bash', ['-euo', 'pipefail', '-c', walkthrough], {
    cwd: directory,
    env: { PATH: `${programs}${delimiter}${process.env.PATH ?? ''}`, SOURCE_URI: url, SURREAL_ENDPOINT: endpoint },
    timeoutMs: walkthroughMsMax,
  })
  const ended = await script.ended
  await writers.more(20)
  await writers.stop()
  return ended
}

/** Applies what is left, up to the last change. */
async function catchUp(directory: string, url: string, endpoint: string, from: string): Promise<Ended> {
  const last = await lastChange(url)
  const flags = [...connectionFlags(url, endpoint), '--incremental-from', from, '--incremental-to', last]
  return await surrealSync(['incremental', 'postgresql', ...flags], { cwd: directory })
}

/** Names of the checkpoint files, and the number that the script was to find. */
async function readCheckpoints(directory: string) {
  const folder = join(directory, '.surreal-sync-checkpoints')
  const names = await readdir(folder)
  const starts = names.filter((name) => name.startsWith('checkpoint_full_sync_start_'))
  const ends = names.filter((name) => name.startsWith('checkpoint_full_sync_end_'))
  const start: unknown = JSON.parse(await readFile(join(folder, starts[0] ?? ''), 'utf8'))
  return { folder, names, starts, ends, start }
}

describe.concurrent('the walk-through', () => {
  test.each([
    ['ws', 'a server'],
    ['surrealkv', 'files'],
  ])(
    'through %s:// ends with equal content, while applications write',
    { timeout: walkthroughMsMax },
    async (scheme) => {
      await using myapp = await startMyapp()
      await using directory = await temporaryDirectory()
      const files = join(directory.path, 'target')
      let server = scheme === 'ws' ? await startSurreal() : undefined
      try {
        const endpoint = server?.ws ?? `surrealkv://${files}`
        const { code, stdout, stderr } = await walkThrough(directory.path, myapp.url, endpoint)
        expect(stderr).not.toMatch(/^error:/m)
        expect(code).toBe(0)

        const { names, starts, ends, start } = await readCheckpoints(directory.path)
        expect(starts).toEqual([expect.stringMatching(/^checkpoint_full_sync_start_[\w.-]+\.json$/)])
        expect(ends).toEqual([expect.stringMatching(/^checkpoint_full_sync_end_[\w.-]+\.json$/)])
        expect(names.filter((name) => !/^[\w.-]+$/.test(name))).toEqual([])
        expect(stdout).toBe(`./.surreal-sync-checkpoints/${starts[0]}\n`)
        const [, t1 = ''] =
          /^INFO surreal_sync::postgresql: Emitted full sync start checkpoint \(t1\): postgresql:sequence:(\d+)$/m.exec(
            stderr,
          ) ?? []
        const [, t2 = ''] =
          /^INFO surreal_sync::postgresql: Emitted full sync end checkpoint \(t2\): postgresql:sequence:(\d+)$/m.exec(
            stderr,
          ) ?? []
        expect(Number(t2)).toBeGreaterThan(Number(t1))
        const number = Number(t1)
        expect(start).toMatchObject({
          checkpoint: { PostgreSQL: { sequence: number, sequence_id: number } },
          phase: 'full_sync_start',
        })
        expect(stderr).toMatch(/^INFO surreal_sync::postgresql: Stopped at the timeout: /m)

        const last = await catchUp(directory.path, myapp.url, endpoint, `postgresql:sequence:${t1}`)
        expect(last).toMatchObject({ code: 0, stdout: '' })

        server ??= await startSurreal({ storage: `surrealkv://${files}` })
        await using target = await openTarget(server.ws)
        const report = await expectEqualDatabases({ source: myapp.url, target: target.db })
        expect(report.rows).toBeGreaterThan(800)
      } finally {
        await server?.stop()
      }
    },
  )
})

describe('troubleshooting', () => {
  test('the SQL does what it is there for', async () => {
    await using myapp = await startMyapp()
    await using directory = await temporaryDirectory()
    await using server = await startSurreal()
    const flags = connectionFlags(myapp.url, server.ws)
    const full = await surrealSync(['full', 'postgresql', ...flags, '--emit-checkpoints'], { cwd: directory.path })
    expect(full).toMatchObject({ code: 0 })
    await withClient(myapp.url, async (client) => {
      const { rows: triggers } = await client.query<{ event_object_table: string }>(findTriggers)
      const names = new Set(triggers.map(({ event_object_table }) => event_object_table))
      expect(names).toEqual(new Set(['customers', 'orders', 'Stock levels', 'surreal_sync_changes']))

      await client.query('update customers set name = upper(name) where id <= 10')
      const { rows: counted } = await client.query(countChanges)
      expect(counted).toEqual([{ count: '10' }])
      await client.query(cleanUp)
      expect((await client.query(countChanges)).rows).toEqual([{ count: '10' }])

      await client.query(`update surreal_sync_changes set changed_at = now() - interval '31 days'`)
      // Nobody has read them yet.
      await expect(client.query(cleanUp)).rejects.toThrow(/not yet replicated/)
      const incremental = await catchUp(directory.path, myapp.url, server.ws, '0')
      expect(incremental).toMatchObject({ code: 0 })
      const { rowCount } = await client.query(cleanUp)
      expect(rowCount).toBe(10)
      await client.query('update customers set name = lower(name) where id > 490')
    })
    expect(await catchUp(directory.path, myapp.url, server.ws, '0')).toMatchObject({ code: 0 })
    await using target = await openTarget(server.ws)
    await expectEqualDatabases({ source: myapp.url, target: target.db })
  })

  test('the GRANTs, and the one that is added to them, are enough for a role of its own', async () => {
    await using myapp = await startMyapp()
    await using directory = await temporaryDirectory()
    await using server = await startSurreal()
    const password = 'of sync_user'
    await execute(myapp.url, `create role sync_user login password '${password}'; ${grants}`)
    const url = Object.assign(new URL(myapp.url), {
      username: 'sync_user',
      password: encodeURIComponent(password),
    }).href
    const flags = connectionFlags(url, server.ws)
    const full = () => surrealSync(['full', 'postgresql', ...flags, '--emit-checkpoints'], { cwd: directory.path })
    const refused = await full()
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(/^error: .+ \[E_RIGHTS\]\nhint: .*grant trigger on /im)

    await execute(myapp.url, furtherGrants)
    expect(await full()).toMatchObject({ code: 0 })
    await execute(
      myapp.url,
      `update customers set name = 'changed' where id < 50; delete from orders where number % 3 = 0; truncate "Stock levels"`,
    )
    const from = 'postgresql:sequence:0'
    const last = await lastChange(myapp.url)
    const incremental = await surrealSync(
      ['incremental', 'postgresql', ...flags, '--incremental-from', from, '--incremental-to', last],
      { cwd: directory.path },
    )
    expect(incremental).toMatchObject({ code: 0 })
    await using target = await openTarget(server.ws)
    await expectEqualDatabases({ source: myapp.url, target: target.db })
  })
})
