/** What cannot work is refused with one clear sentence, a code and a hint, and nothing is touched. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { type Directory, type Ended, surrealSync, surrealSyncHere, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { observeSource, observeTarget } from './observe.js'
import { execute, withClient } from './shop.js'
import { namespace, openServer, database as targetDatabase } from './target.js'

const canary = 'c4nary-s3cret'
/** Nobody listens on this port. */
const nobody = '127.0.0.1:1'
/** A deadline of ten seconds for connecting, and a machine that has much else to do. */
const patienceMs = 45_000
const occupied = 'occupied'

let source: TestDatabase
/** Two schemas with a table of one name. */
let twins: TestDatabase
let target: SurrealServer
let directory: Directory
let roles: Readonly<Record<'blind' | 'toothless' | 'homeless', string>>

beforeAll(async () => {
  source = await createDatabase()
  twins = await createDatabase()
  await execute(
    twins.url,
    'create table users (id int primary key); create schema other; create table other.users (id int primary key)',
  )
  target = await startSurreal()
  directory = await temporaryDirectory()
  await writeFile(join(directory.path, 'a file'), '')
  const role = (name: string) => `${name}_${source.name}`
  roles = { blind: role('blind'), toothless: role('toothless'), homeless: role('homeless') }
  const { blind, toothless, homeless } = roles
  await execute(
    source.url,
    `create table users (id bigint primary key, name text);
     insert into users values (1, 'one'), (2, 'two');
     create table log (at timestamptz, line text);
     create view adults as select * from users;
     revoke create on schema public from public;
     create role ${blind} login password '${canary}';
     create role ${toothless} login password '${canary}';
     create role ${homeless} login password '${canary}';
     grant create on schema public to ${blind}, ${toothless};
     grant select on all tables in schema public to ${toothless}, ${homeless};
     grant trigger on all tables in schema public to ${homeless}`,
  )
  await using root = await openServer(target.ws, { namespace, database: targetDatabase })
  await root.db.query(
    `define namespace if not exists ${namespace}; define database if not exists ${targetDatabase};
     define user watcher on root password '${canary}' roles viewer`,
  )
  await root.db.query(
    `define namespace ${occupied}; use ns ${occupied}; define database ${occupied}; use db ${occupied};
     create users:7 set name = 'somebody else'`,
  )
})

afterAll(async () => {
  await target.stop()
  await withClient(source.url, async (client) => {
    for (const role of Object.values(roles)) await client.query(`drop owned by ${role}; drop role ${role}`)
  })
  await source[Symbol.asyncDispose]()
  await twins[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

interface Refusal extends Expected {
  readonly what: string
  readonly args: () => readonly string[]
}

interface Expected {
  readonly code: string
  /** @defaultValue 2, refused */
  readonly exitCode?: number
  /** What the sentence or the hint must mention. */
  readonly says?: RegExp
}

/** The flags of a run that would work, but for the last ones, which win. */
function flags(...others: readonly string[]): readonly string[] {
  return [...connectionFlags(source.url, target.ws), '--checkpoint-dir', join(directory.path, 'none'), ...others]
}

function as(role: string | undefined): string {
  return changed(source.url, { username: role ?? '', password: canary })
}

function changed(url: string, parts: Partial<Record<'username' | 'password' | 'host' | 'pathname', string>>): string {
  const other = new URL(url)
  for (const [part, value] of Object.entries(parts)) Reflect.set(other, part, value)
  return other.href
}

/** What only connecting can tell. */
const connected: readonly Refusal[] = [
  {
    what: 'a source that nobody answers at',
    args: () => flags('--source-uri', `postgresql://u:${canary}@${nobody}/db`),
    code: 'E_UNREACHABLE',
    exitCode: 4,
    says: /127\.0\.0\.1:1/,
  },
  {
    what: 'a target that nobody answers at',
    args: () => flags('--surreal-endpoint', `ws://${nobody}`, '--surreal-password', canary),
    code: 'E_UNREACHABLE',
    exitCode: 4,
    says: /127\.0\.0\.1:1/,
  },
  {
    what: 'a target that nobody answers at, over http',
    args: () => flags('--surreal-endpoint', `http://${nobody}`, '--surreal-password', canary),
    code: 'E_UNREACHABLE',
    exitCode: 4,
    says: /127\.0\.0\.1:1/,
  },
  {
    what: 'a host without an address',
    args: () => flags('--source-uri', `postgresql://u:${canary}@no.such.host.invalid/db?sslmode=disable`),
    code: 'E_UNREACHABLE',
    exitCode: 4,
    says: /no\.such\.host\.invalid/,
  },
  {
    what: 'a wrong password of the source',
    args: () => flags('--source-uri', changed(source.url, { password: canary })),
    code: 'E_AUTH',
    says: /password/,
  },
  {
    what: 'a wrong password of the source in a flag of its own',
    args: () => flags('--source-password', canary),
    code: 'E_AUTH',
    says: /password/,
  },
  {
    what: 'a wrong password of the target',
    args: () => flags('--surreal-password', canary),
    code: 'E_AUTH',
    says: /password/,
  },
  {
    what: 'a wrong password of the target, over http',
    args: () => flags('--surreal-endpoint', target.http, '--surreal-password', canary),
    code: 'E_AUTH',
    says: /password/,
  },
  {
    what: 'a database that does not exist',
    args: () => flags('--source-database', 'no such database'),
    code: 'E_UNKNOWN_DATABASE',
    says: /no such database/,
  },
  {
    what: 'a table that does not exist',
    args: () => flags('--tables', 'users,userz'),
    code: 'E_UNKNOWN_TABLE',
    says: /userz/,
  },
  {
    what: 'a schema that does not exist',
    args: () => flags('--schemas', 'public,nowhere'),
    code: 'E_UNKNOWN_TABLE',
    says: /The schema nowhere does not exist[\s\S]*--schemas/,
  },
  {
    what: 'a table in a schema that does not exist',
    args: () => flags('--tables', 'users,nowhere.users'),
    code: 'E_UNKNOWN_TABLE',
    says: /nowhere\.users[\s\S]*schema nowhere does not exist[\s\S]*Check the spelling/,
  },
  {
    what: 'a table without a key',
    args: () => flags('--tables', 'users,log'),
    code: 'E_TABLE_WITHOUT_KEY',
    says: /public\.log[\s\S]*primary key/,
  },
  {
    what: 'a view',
    args: () => flags('--tables', 'adults'),
    code: 'E_UNSUPPORTED_TABLE',
    says: /public\.adults/,
  },
  {
    what: 'a role that may not read',
    args: () => flags('--source-uri', as(roles.blind), '--tables', 'users'),
    code: 'E_RIGHTS',
    says: /public\.users[\s\S]*grant (usage|select)/i,
  },
  {
    what: 'a role that may not read any table',
    args: () => flags('--source-uri', as(roles.blind)),
    code: 'E_RIGHTS',
    says: /grant select/i,
  },
  {
    what: 'a role that may not create triggers',
    args: () => flags('--source-uri', as(roles.toothless), '--tables', 'users'),
    code: 'E_RIGHTS',
    says: /public\.users[\s\S]*grant trigger/i,
  },
  {
    what: 'a role that may not create tables',
    args: () => flags('--source-uri', as(roles.homeless), '--tables', 'users'),
    code: 'E_RIGHTS',
    says: /grant create on schema "?public"?/i,
  },
  {
    what: 'an audit schema that does not exist',
    args: () => flags('--audit-schema', 'nowhere'),
    code: 'E_CONFIG',
    says: /nowhere/,
  },
  {
    what: 'a target table with records of others',
    args: () => flags('--to-namespace', occupied, '--to-database', occupied, '--tables', 'users'),
    code: 'E_TARGET_NOT_EMPTY',
    says: /users[\s\S]*--existing/,
  },
  {
    what: 'a user of the target without rights',
    args: () => flags('--surreal-username', 'watcher', '--surreal-password', canary),
    code: 'E_RIGHTS',
    says: /EDITOR/,
  },
  {
    what: 'a user who may not create the database',
    args: () => flags('--surreal-username', 'watcher', '--surreal-password', canary, '--to-database', 'another'),
    code: 'E_RIGHTS',
    says: /EDITOR/,
  },
  {
    what: 'a user who may not create the namespace',
    args: () => flags('--surreal-username', 'watcher', '--surreal-password', canary, '--to-namespace', 'another'),
    code: 'E_RIGHTS',
    says: /EDITOR/,
  },
  {
    what: 'two tables of one name',
    args: () => flags('--source-uri', twins.url),
    code: 'E_NAME_COLLISION',
    says: /public\.users/,
  },
  {
    what: 'a target that is not SurrealDB',
    args: () => flags('--surreal-endpoint', `ws://127.0.0.1:${new URL(source.url).port}`),
    code: 'E_UNREACHABLE',
    exitCode: 4,
  },
  {
    what: 'a source that is not PostgreSQL',
    args: () => flags('--source-uri', `postgresql://u:${canary}@127.0.0.1:${target.port}/db`),
    code: 'E_UNREACHABLE',
    exitCode: 4,
    says: /port/,
  },
  {
    what: 'a source that is not PostgreSQL, without TLS',
    args: () => flags('--source-uri', `postgresql://u:${canary}@127.0.0.1:${target.port}/db?sslmode=disable`),
    code: 'E_CONNECTION_LOST',
    exitCode: 4,
    says: /PostgreSQL that listens there/,
  },
  {
    what: 'a directory for checkpoints that is a file',
    args: () => flags('--checkpoint-dir', join(directory.path, 'a file')),
    code: 'E_CONFIG',
    says: /a file/,
  },
]

/** What is wrong before anything is connected to. */
const unconnected: readonly Refusal[] = [
  {
    what: 'no source',
    args: () => ['sync', 'postgresql', '--to-namespace', 'n', '--to-database', 'd'],
    code: 'E_CONFIG',
    says: /--source-uri[\s\S]*SOURCE_URI/,
  },
  {
    what: 'no namespace',
    args: () => ['full', 'postgresql', '--source-uri', source.url, '--to-database', 'd'],
    code: 'E_CONFIG',
    says: /--to-namespace/,
  },
  {
    what: 'no database',
    args: () => ['full', 'postgresql', '--source-uri', source.url, '--to-namespace', 'n'],
    code: 'E_CONFIG',
    says: /--to-database/,
  },
  {
    what: 'no position',
    args: () => ['incremental', 'postgresql', ...flags()],
    code: 'E_CONFIG',
    says: /--incremental-from/,
  },
  ...[
    'postgresql:sequence:null',
    'postgresql:sequence:',
    '',
    'postgresql:sequence:-1',
    '1.5',
    'mysql:7',
    '0/6FC17B8',
  ].map(
    (position): Refusal => ({
      what: `the position ${JSON.stringify(position)}`,
      args: () => ['incremental', 'postgresql', ...flags('--incremental-from', position)],
      code: 'E_CONFIG',
      says: /postgresql:sequence:(42|N)/,
    }),
  ),
  {
    what: 'a wrong position to stop at',
    args: () => ['incremental', 'postgresql', ...flags('--incremental-from', '0', '--incremental-to', 'the end')],
    code: 'E_CONFIG',
    says: /postgresql:sequence:(42|N)/,
  },
  ...['1x', '-1', 'soon', '', '0', '9999d'].map(
    (duration): Refusal => ({
      what: `the duration ${JSON.stringify(duration)}`,
      args: () => ['sync', 'postgresql', ...flags('--timeout', duration)],
      code: 'E_CONFIG',
      says: /--timeout/,
    }),
  ),
  {
    what: 'an unknown flag',
    args: () => ['full', 'postgresql', ...flags('--emit-checkpoint')],
    code: 'E_CONFIG',
    says: /--emit-checkpoint'[\s\S]*--emit-checkpoints/,
  },
  {
    what: 'an unknown flag with a secret',
    args: () => ['full', 'postgresql', ...flags(`--surreal-pasword=${canary}`)],
    code: 'E_CONFIG',
    says: /--surreal-pasword'/,
  },
  {
    what: 'an unknown command',
    args: () => ['ful', 'postgresql', ...flags()],
    code: 'E_CONFIG',
    says: /full/,
  },
  {
    what: 'an unknown kind of source',
    args: () => ['full', 'mysql', ...flags()],
    code: 'E_CONFIG',
    says: /mysql/,
  },
  {
    what: 'a number of rows that is none',
    args: () => ['full', 'postgresql', ...flags('--batch-size', 'many')],
    code: 'E_CONFIG',
    says: /--batch-size/,
  },
  {
    what: 'a source URI of another kind',
    args: () => ['full', 'postgresql', ...flags('--source-uri', `mysql://u:${canary}@h/d`)],
    code: 'E_CONFIG',
    says: /postgresql:\/\//,
  },
  {
    what: 'a source URI that cannot be parsed',
    args: () => ['full', 'postgresql', ...flags('--source-uri', `postgresql://u:${canary}@h:port/d`)],
    code: 'E_CONFIG',
    says: /postgresql:\/\//,
  },
  {
    what: 'an endpoint without a scheme',
    args: () => ['full', 'postgresql', ...flags('--surreal-endpoint', 'localhost:8000')],
    code: 'E_CONFIG',
    says: /ws:\/\//,
  },
  {
    what: 'an endpoint with a password',
    args: () => ['full', 'postgresql', ...flags('--surreal-endpoint', `ws://root:${canary}@localhost:8000`)],
    code: 'E_CONFIG',
    says: /--surreal-password/,
  },
]

/** Checkpoint files that cannot be trusted. */
const files: readonly (readonly [what: string, code: string, content: string])[] = [
  ['that is empty', 'E_CHECKPOINT_CORRUPT', ''],
  ['that is cut off', 'E_CHECKPOINT_CORRUPT', '{"checkpoint":{"PostgreSQL":{"sequence":1'],
  ['that is not an object', 'E_CHECKPOINT_CORRUPT', '[1, 2]'],
  ['without a number', 'E_CHECKPOINT_CORRUPT', checkpointFile('{"PostgreSQL":{"sequence":"many"}}')],
  ['of MySQL', 'E_CHECKPOINT_FOREIGN', checkpointFile('{"MySQL":{"sequence":1}}')],
]

function checkpointFile(checkpoint: string): string {
  return `{"checkpoint":${checkpoint},"phase":"full_sync_start","timestamp":"2024-01-01T00:00:00Z"}`
}

describe.each([
  ['full', '--emit-checkpoints'],
  ['sync', '--timeout=1s'],
  ['sync', '--dry-run'],
])('%s %s refuses', (command, flag) => {
  test.each(connected)('$what', { timeout: patienceMs }, async (refusal) => {
    await refuses(refusal, [command, 'postgresql', ...refusal.args(), flag])
  })
})

describe('a process of its own, within seconds, refuses', () => {
  const some = connected.filter(({ code }, index) => connected.findIndex((other) => other.code === code) === index)
  test.each(some)('$what', { timeout: patienceMs }, async ({ args, ...refusal }) => {
    const all = ['sync', 'postgresql', ...args()]
    expectRefusal(refusal, await surrealSync(all, { cwd: directory.path, timeoutMs: patienceMs }))
  })
})

describe('the command line refuses', () => {
  test.each(unconnected)('$what', async (refusal) => {
    expectRefusal(refusal, await surrealSyncHere(refusal.args()))
  })

  test.each(files)('a checkpoint file %s', { timeout: patienceMs }, async (what, code, content) => {
    const folder = join(directory.path, what)
    await mkdir(folder)
    await writeFile(join(folder, 'checkpoint_full_sync_start_2024-01-01T00-00-00Z.json'), content)
    const args = ['sync', 'postgresql', ...flags('--checkpoint-dir', folder)]
    await refuses({ code, says: /checkpoint_full_sync_start_2024/ }, args)
  })

  test.each([[], ['--dry-run']])('changes that nobody captures %s', { timeout: patienceMs }, async (...more) => {
    const args = ['incremental', 'postgresql', ...flags('--incremental-from', '0', '--tables', 'users', ...more)]
    await refuses({ code: 'E_TRIGGER_MISSING', says: /full sync/ }, args)
  })

  test('a target that accepts connections and says nothing', { timeout: patienceMs }, async () => {
    await target.pause()
    let ended: Ended
    try {
      ended = await surrealSyncHere(['full', 'postgresql', ...flags()])
    } finally {
      await target.resume()
    }
    expectRefusal({ code: 'E_UNREACHABLE', exitCode: 4 }, ended)
  })
})

test('the password of a run that works does not appear either', { timeout: patienceMs }, async () => {
  const args = ['full', 'postgresql', ...flags('--to-namespace', 'fine', '--log-level', 'debug')]
  const { code, stdout, stderr } = await surrealSyncHere(args)
  expect(code).toBe(0)
  expect(stdout + stderr).not.toContain(new URL(source.url).password)
})

async function refuses(expected: Expected, args: readonly string[]): Promise<void> {
  const before = await observe()
  const ended = await surrealSyncHere(args)
  expectRefusal(expected, ended)
  expect(await observe()).toEqual(before)
}

async function observe(): Promise<readonly (readonly string[])[]> {
  return [await observeSource(source.url), await observeSource(twins.url), await observeTarget(target.ws)]
}

/** At most a line that says what was about to be done, then the sentence and what to do. */
function expectRefusal({ code, exitCode = 2, says = /./ }: Expected, { stdout, stderr, ...ended }: Ended): void {
  const lines = stderr
    .trimEnd()
    .split('\n')
    .filter((line) => !/^(INFO|WARN) /.test(line))
  const [sentence = '', ...hint] = lines
  expect(sentence).toMatch(/^error: .+ \[E_\w+\]$/)
  // A sentence that says how it must be says what to do.
  if (!/ must be /.test(sentence)) expect(hint).toEqual([expect.stringMatching(/^hint: .+/)])
  expect(sentence).toContain(`[${code}]`)
  expect(ended).toEqual({ code: exitCode, signal: null })
  expect(lines.join('\n')).toMatch(says)
  expect(stdout).toBe('')
  const secrets = [canary, new URL(source.url).password]
  for (const secret of secrets) expect(stderr).not.toContain(secret)
  expect(stderr).not.toMatch(/^\s+at /m)
}
