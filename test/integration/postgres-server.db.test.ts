import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import { createDatabase } from '../support/database.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const goneMsMax = 20_000

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

/** Settles when the server has ended the connection, which pg reports as one or more errors. */
async function connectionEnd(client: pg.Client): Promise<void> {
  client.on('error', () => {})
  await new Promise<void>((resolve) => client.once('end', resolve))
}

/** Every process whose command line or title names the directory. */
async function processesOf(directory: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,args='], { maxBuffer: 16 * 1024 * 1024 })
  return stdout.split('\n').filter((line) => line.includes(directory))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function postmasterPid(server: Pick<PostgresServer, 'dataDir'>): Promise<number> {
  return Number((await readFile(join(server.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0])
}

describe('startPostgres', () => {
  test('serves connections that are really concurrent', async () => {
    await using server = await startPostgres()
    expect(server.version).toMatch(/^\d+\.\d+/)
    const [first, second] = await Promise.all([connect(server.url()), connect(server.url())])
    try {
      await first.query('begin; create table held (id int); select pg_advisory_lock(7)')
      const { rows } = await second.query('select pg_try_advisory_lock(7) as locked, pg_backend_pid() as pid')
      expect(rows[0].locked).toBe(false)
      const owner = await first.query('select pg_backend_pid() as pid')
      expect(rows[0].pid).not.toBe(owner.rows[0].pid)
    } finally {
      await Promise.all([first.end(), second.end()])
    }
  })

  test('asks for the password, over TCP and over the unix socket', async () => {
    await using server = await startPostgres()
    const wrong = server.url().replace(server.password, 'wrong')
    await expect(connect(wrong)).rejects.toMatchObject({ code: '28P01' })
    const local = new pg.Client({ ...server, host: server.socketDir, password: 'wrong', database: 'postgres' })
    await expect(local.connect()).rejects.toMatchObject({ code: '28P01' })
  })

  test('has the defaults of a source of changes, which settings replace', async () => {
    await using server = await startPostgres({ settings: { max_connections: '20', search_path: "a'b" }, durable: true })
    const client = await connect(server.url())
    const names = ['wal_level', 'max_prepared_transactions', 'max_connections', 'search_path', 'fsync']
    const { rows } = await client.query('select array_agg(current_setting(name)) as all from unnest($1::text[]) name', [
      names,
    ])
    await client.end()
    expect(rows[0].all).toEqual(['logical', '20', '20', "a'b", 'on'])
  })

  test('creates databases from a template and drops them with all that keeps them', async () => {
    await using server = await startPostgres()
    const template = await connect(await server.createDatabase('template'))
    await template.query('create table copied (id int)')
    await template.end()

    const busy = await connect(await server.createDatabase('a "busy" one', 'template'))
    const ended = connectionEnd(busy)
    await busy.query("begin; insert into copied values (1); prepare transaction 'open'")
    await server.dropDatabase('a "busy" one')
    await ended
    await expect(connect(server.url('a "busy" one'))).rejects.toMatchObject({ code: '3D000' })
  })

  test.each(['fast', 'immediate'] as const)('restarts (%s) on the same port with the committed rows', async (mode) => {
    await using server = await startPostgres({ durable: true })
    const before = await connect(server.url())
    const ended = connectionEnd(before)
    await before.query('create table kept as select 42 as id')
    await server.restart(mode)
    await ended
    const after = await connect(server.url())
    expect((await after.query('select id from kept')).rows).toEqual([{ id: 42 }])
    await after.end()
  })

  test('leaves no process and no directory after stop, which may be called twice', async () => {
    const server = await startPostgres()
    const directory = dirname(server.dataDir)
    const pid = await postmasterPid(server)
    expect(await processesOf(directory)).not.toEqual([])
    await server.stop()
    await server.stop()
    expect(isAlive(pid)).toBe(false)
    expect(await processesOf(directory)).toEqual([])
    expect(await exists(directory)).toBe(false)
  })

  test('leaves nothing when the start is aborted', async () => {
    const abort = new AbortController()
    const starting = startPostgres({ signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(starting).rejects.toThrow('enough')
  })

  test('says what is wrong when PostgreSQL does not start', async () => {
    await expect(startPostgres({ settings: { no_such_parameter: '1' } })).rejects.toThrow(/no_such_parameter/)
    await expect(startPostgres({ binDir: repository })).rejects.toThrow(/has no PostgreSQL programs/)
  })

  test('leaves no process and no directory when its owner is killed', async () => {
    const program = `
      import { startPostgres } from './src/demo/postgres-server.ts'
      const server = await startPostgres()
      console.log(server.dataDir)
      process.stdin.resume()`
    const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      cwd: repository,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const exited = once(owner, 'exit')
    const [dataDir] = await Promise.race([
      once(createInterface({ input: owner.stdout }), 'line'),
      exited.then(() => Promise.reject(new Error('The owner ended before its server was ready.'))),
    ])
    const pid = await postmasterPid({ dataDir })
    expect(isAlive(pid)).toBe(true)

    owner.kill('SIGKILL')
    await exited
    const directory = dirname(dataDir)
    await expect.poll(() => isAlive(pid), { timeout: goneMsMax }).toBe(false)
    await expect.poll(() => exists(directory), { timeout: goneMsMax }).toBe(false)
    await expect.poll(() => processesOf(directory), { timeout: goneMsMax }).toEqual([])
  })
})

describe('createDatabase', () => {
  test('gives each test a database of its own and drops it, whatever is left open', async () => {
    let url = ''
    {
      await using one = await createDatabase()
      await using other = await createDatabase()
      url = one.url
      const client = await one.client()
      await client.query('create table mine (id int)')
      await client.query('begin; lock table mine')
      const { rows } = await (await other.client()).query("select to_regclass('mine') as mine")
      expect(rows).toEqual([{ mine: null }])
    }
    await expect(connect(url)).rejects.toMatchObject({ code: '3D000' })
  })
})
