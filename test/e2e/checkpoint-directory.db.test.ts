/** A directory that cannot keep checkpoints is found out before anything is installed, also by a dry run. */
import { spawnSync } from 'node:child_process'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { commandLine, type Directory, surrealSync, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { observeSource, observeTarget } from './observe.js'
import { execute } from './shop.js'

/** Root may write anywhere, so the commands run as somebody else. */
const uid = process.getuid?.() === 0 ? 65_534 : undefined
const program = commandLine.at(-1) ?? ''
const reading = ['-e', `require('node:fs').accessSync(${JSON.stringify(program)})`]
const canRun = process.platform !== 'win32' && spawnSync(process.execPath, reading, { uid }).status === 0

let source: TestDatabase
let target: SurrealServer
let directory: Directory
let closed: string

beforeAll(async () => {
  source = await createDatabase()
  await execute(source.url, 'create table users (id bigint primary key); insert into users values (1)')
  target = await startSurreal()
  directory = await temporaryDirectory()
  await chmod(directory.path, 0o755)
  closed = join(directory.path, 'closed')
  await mkdir(closed, { mode: 0o555 })
})

afterAll(async () => {
  await chmod(closed, 0o755)
  await target.stop()
  await source[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

describe.skipIf(!canRun).each([
  ['full', '--emit-checkpoints'],
  ['full', '--emit-checkpoints', '--dry-run'],
  ['sync', '--timeout=1s'],
  ['sync', '--dry-run'],
])('%s %s %s', (command, ...more) => {
  test.each(['', 'below'])('refuses a read-only directory %s', async (name) => {
    const observe = async () => [await observeSource(source.url), await observeTarget(target.ws)]
    const before = await observe()
    const given = connectionFlags(source.url, target.ws)
    const args = [command, 'postgresql', ...given, '--checkpoint-dir', join(closed, name), ...more.filter(Boolean)]
    const { code, stdout, stderr } = await surrealSync(args, { cwd: directory.path, uid })
    expect(stderr).toMatch(/^error: The checkpoint directory .*closed cannot be written to \(E\w+\) \[E_CONFIG\]$/m)
    expect(stderr).toMatch(/^hint: Choose a directory that this user may write to\.$/m)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(await observe()).toEqual(before)
  })
})
