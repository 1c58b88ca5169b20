import { EventEmitter } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/cli/clock.js'
import { main } from '../../src/cli/command-line.js'
import type { CommandLineIo } from '../../src/cli/io.js'
import type { Settings } from '../../src/cli/settings.js'
import { version } from '../../src/cli/version.js'
import {
  type Batch,
  type ChangeOptions,
  type Delta,
  type Position,
  type Sink,
  type Source,
  SyncError,
  type Table,
  upserts,
} from '../../src/index.js'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'surreal-sync-cli-'))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

class Output extends Writable {
  text = ''
  readonly isTTY: boolean
  readonly columns = 80
  readonly rows = 24

  constructor(isTTY = false) {
    super()
    this.isTTY = isTTY
  }

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    this.text += chunk.toString()
    done()
    this.emit('text')
  }

  /** Resolves when this has been written. */
  async saw(text: string): Promise<void> {
    while (!this.text.includes(text)) await new Promise((resolve) => this.once('text', resolve))
  }
}

/** Time that passes when a test says so. */
class ManualClock implements Clock {
  readonly #waiting = new Map<() => void, number>()

  now(): number {
    return performance.now()
  }

  after(delayMs: number, callback: () => void): () => void {
    this.#waiting.set(callback, delayMs)
    return () => this.#waiting.delete(callback)
  }

  get pending(): number {
    return this.#waiting.size
  }

  /** Ends every wait of this length. */
  fire(delayMs: number): void {
    for (const [callback, waits] of [...this.#waiting]) {
      if (waits !== delayMs) continue
      this.#waiting.delete(callback)
      callback()
    }
  }
}

const users: Table = {
  schema: 'public',
  name: 'users',
  label: 'public.users',
  columns: [{ name: 'id', type: { kind: 'integer' }, sourceType: 'integer', nullable: false }],
  key: [{ name: 'id', type: { kind: 'integer' }, sourceType: 'integer', nullable: false }],
  rowCountEstimate: 3,
}

/** Three rows to copy, then one change for each position from 6 to 9. */
class ListSource implements Source {
  readonly name = 'list'
  readonly calls: string[] = []

  async open(): Promise<void> {
    this.calls.push('open')
  }

  async tables(): Promise<readonly Table[]> {
    return [users]
  }

  async check(): Promise<void> {
    this.calls.push('check')
  }

  async prepare(): Promise<void> {
    this.calls.push('prepare')
  }

  async position(): Promise<Position> {
    return this.parse('7')
  }

  parse(text: string): Position {
    const sequence = /^(?:postgresql:sequence:)?(\d+)$/.exec(text)?.[1]
    if (sequence === undefined) throw new SyncError('E_CONFIG', 'The position is not a number', { hint: 'Look again.' })
    return sequence as Position
  }

  describe(position: Position) {
    const sequence = Number(position)
    return { text: `postgresql:sequence:${sequence}`, json: { PostgreSQL: { sequence, sequence_id: sequence } } }
  }

  compare(a: Position, b: Position): number {
    return Number(a) - Number(b)
  }

  async openSnapshot() {
    return {
      position: this.parse('5'),
      chunks: async () => [{ id: 'users', table: users }],
      read: async function* () {
        yield upserts(users, [{ id: 1 }, { id: 2 }, { id: 3 }])
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  async *changes({ after, until, follow, signal }: ChangeOptions): AsyncGenerator<Delta> {
    for (let sequence = Number(after) + 1; sequence <= 9; sequence += 1) {
      yield {
        batches: (async function* (): AsyncGenerator<Batch> {
          yield upserts(users, [{ id: sequence }])
        })(),
        position: this.parse(String(sequence)),
        drained: sequence === Number(until ?? 9),
        committedAtMs: Date.now(),
      }
      if (until !== undefined && sequence >= Number(until)) return
    }
    if (!follow) return
    await new Promise((_, reject) => {
      if (signal?.aborted) reject(signal.reason)
      signal?.addEventListener('abort', () => reject(signal.reason))
    })
  }

  async close(): Promise<void> {
    this.calls.push('close')
  }
}

class ListSink implements Sink {
  readonly name = 'list'
  readonly ids: unknown[] = []
  readonly calls: string[] = []

  async prepare(): Promise<void> {
    this.calls.push('prepare')
  }

  async write(batch: Batch): Promise<void> {
    if (batch.op === 'upsert') for (const { id } of batch.rows()) this.ids.push(id)
  }
}

const target = ['--to-namespace', 'production', '--to-database', 'migrated']
const uri = ['--source-uri', 'postgresql://me:canary-7f3a@localhost/myapp', '--surreal-password', 'canary-9b2c']

function setUp(options: { terminal?: boolean; env?: CommandLineIo['env'] } = {}) {
  const signals = new EventEmitter()
  const clock = new ManualClock()
  const stdout = new Output()
  const stderr = new Output(options.terminal)
  const [source, sink, exits] = [new ListSource(), new ListSink(), [] as number[]]
  let settings: Settings | undefined
  const io: CommandLineIo = {
    stdout,
    stderr,
    env: options.env ?? {},
    signals,
    exit: (code) => exits.push(code),
    clock,
    connect: (given) => {
      settings = given
      return { source, sink }
    },
  }
  const checkpoints = join(directory, 'checkpoints')
  const run = (...argv: string[]) => main(argv, io)
  const sync = (command: string, ...flags: string[]) =>
    run(command, 'postgresql', ...uri, ...target, '--checkpoint-dir', checkpoints, ...flags)
  return { run, sync, clock, signals, stdout, stderr, source, sink, exits, checkpoints, settings: () => settings }
}

describe('the command line', () => {
  it('prints its version', async () => {
    const { run, stdout, stderr } = setUp()
    expect(await run('--version')).toBe(0)
    expect(stdout.text).toBe(`${version}\n`)
    expect(version).toMatch(/^\d+\.\d+\.\d+/)
    expect(stderr.text).toBe('')
  })

  it.each([
    [],
    ['full'],
    ['full', 'postgresql'],
    ['incremental', 'postgresql'],
    ['sync', 'postgresql'],
    ['verify', 'postgresql'],
    ['repair', 'postgresql'],
    ['quarantine', 'list'],
    ['quarantine', 'retry'],
    ['demo'],
  ])('prints help that fits 80 columns: %s %s', async (...argv) => {
    const { run, stdout } = setUp()
    expect(await run(...argv, '--help')).toBe(0)
    expect(stdout.text).toMatch(/^Usage: surreal-sync/)
    expect(stdout.text.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  it('shows help when the command is missing, and fails', async () => {
    const { run, stdout, stderr } = setUp()
    expect(await run()).toBe(2)
    expect(await run('full')).toBe(2)
    expect(stdout.text).toBe('')
    expect(stderr.text).toContain('Usage: surreal-sync')
  })

  it.each<[string, string[], string]>([
    [
      'an unknown command',
      ['ful', 'postgresql'],
      "error: Unknown command 'ful' [E_CONFIG]\nhint: Did you mean full?\n",
    ],
    [
      'an unknown source',
      ['full', 'postgres'],
      "error: Unknown command 'postgres' [E_CONFIG]\nhint: Did you mean postgresql?\n",
    ],
    [
      'an unknown flag',
      ['full', 'postgresql', '--surreal-pasword=canary-1'],
      "error: Unknown option '--surreal-pasword' [E_CONFIG]\nhint: Did you mean --surreal-password?\n",
    ],
    [
      'a flag without its value',
      ['full', 'postgresql', '--to-database'],
      "error: Option '--to-database <name>' argument missing [E_CONFIG]",
    ],
    ['a flag of another command', ['full', 'postgresql', '--timeout', '1m'], "error: Unknown option '--timeout'"],
    [
      'flags that exclude each other',
      ['sync', 'postgresql', '--tables', 'a', '--exclude-tables', 'b'],
      "cannot be used with option '--exclude-tables",
    ],
    [
      'quiet debugging',
      ['sync', 'postgresql', '--quiet', '--log-level', 'debug'],
      "cannot be used with option '--log-level",
    ],
    [
      'an unknown choice',
      ['sync', 'postgresql', '--existing', 'drop'],
      'Allowed choices are refuse, replace, keep. [E_CONFIG]',
    ],
    ['too many words', ['sync', 'postgresql', 'canary-1'], 'error: Too many arguments'],
    [
      'a missing flag',
      ['full', 'postgresql', ...uri],
      'error: Missing --to-namespace, --to-database [E_CONFIG]\nhint: ',
    ],
    [
      'a malformed duration',
      ['sync', 'postgresql', ...uri, ...target, '--timeout', 'x'],
      'error: --timeout is not a duration [E_CONFIG]\nhint: ',
    ],
    [
      'a malformed position',
      ['incremental', 'postgresql', ...uri, ...target, '--incremental-from', 'x'],
      'error: The position is not a number [E_CONFIG]\nhint: Look again.\n',
    ],
  ])('refuses %s before it connects', async (_, argv, text) => {
    const { run, stdout, stderr, source } = setUp()
    expect(await run(...argv)).toBe(2)
    expect(stderr.text).toContain(text)
    expect(stdout.text + stderr.text).not.toContain('canary')
    expect(source.calls).not.toContain('open')
  })

  it('reports wrong usage as JSON when asked to', async () => {
    const { run, stderr } = setUp()
    expect(await run('full', 'postgresql', '--log-format=json', '--nonsense')).toBe(2)
    expect(JSON.parse(stderr.text)).toMatchObject({ event: 'error', code: 'E_CONFIG', exit_code: 2 })
  })
})

describe('full', () => {
  it('without checkpoints copies, and installs and saves nothing', async () => {
    const { sync, sink, source, checkpoints, stdout, stderr } = setUp()
    expect(await sync('full')).toBe(0)
    expect(sink.ids).toEqual([1, 2, 3])
    expect(source.calls).not.toContain('prepare')
    expect(stderr.text).not.toContain('checkpoint')
    expect(stderr.text).toContain('INFO surreal_sync::postgresql: Copied public.users: 3 rows in ')
    expect(stderr.text).toMatch(
      /INFO surreal_sync::postgresql: Finished: 1 table, 3 rows in \d+ ms \(.*\/s\) \[pipeline \w+, surreal-sync [\d.]+\]\n$/,
    )
    expect(stdout.text).toBe('')
    await expect(readdir(checkpoints)).rejects.toThrow('ENOENT')
  })

  it('with checkpoints logs and saves t1 and t2', async () => {
    const { sync, source, checkpoints, stderr } = setUp()
    expect(await sync('full', '--emit-checkpoints')).toBe(0)
    expect(source.calls).toContain('prepare')
    const lines = stderr.text.split('\n')
    expect(lines).toContain(
      'INFO surreal_sync::postgresql: Emitted full sync start checkpoint (t1): postgresql:sequence:5',
    )
    expect(lines).toContain(
      'INFO surreal_sync::postgresql: Emitted full sync end checkpoint (t2): postgresql:sequence:7',
    )
    const [end, start] = (await readdir(checkpoints)).sort()
    expect(end).toMatch(/^checkpoint_full_sync_end_[0-9TZ.-]+\.json$/)
    expect(start).toMatch(/^checkpoint_full_sync_start_[0-9TZ.-]+\.json$/)
    const content = JSON.parse(await readFile(join(checkpoints, start ?? ''), 'utf8'))
    expect(content.checkpoint.PostgreSQL.sequence).toBe(5)
    expect(content.pipeline).toMatch(/^myapp_production_migrated_[0-9a-f]{8}$/)
  })

  it('says nothing but warnings when quiet', async () => {
    const { sync, stderr } = setUp()
    expect(await sync('full', '--quiet')).toBe(0)
    expect(stderr.text).toBe('')
  })

  it('logs objects with stable event names', async () => {
    const { sync, stderr } = setUp()
    expect(await sync('full', '--emit-checkpoints', '--log-format', 'json')).toBe(0)
    const events = stderr.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ event }) => event)).toEqual(['start', 'phase', 'checkpoint', 'table', 'checkpoint', 'summary'])
    expect(events[2]).toMatchObject({ kind: 'full_sync_start', position: 'postgresql:sequence:5' })
    expect(events[5]).toMatchObject({
      reason: 'completed',
      rows: 3,
      changes: 0,
      tables: { 'public.users': { rows: 3, changes: 0 } },
      position: 'postgresql:sequence:5',
    })
  })

  it('moves lines on a terminal and gives the cursor back', async () => {
    const { sync, stderr } = setUp({ terminal: true })
    expect(await sync('full')).toBe(0)
    expect(stderr.text).toContain('\u001b[?25l')
    expect(stderr.text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stderr.text.lastIndexOf('\u001b[?25l'))
    expect(stderr.text).toContain('━━━━━━━━━━')
  })

  it.each([{ CI: '1' }, { TERM: 'dumb' }])('moves none with %o', async (env) => {
    const { sync, stderr } = setUp({ terminal: true, env })
    expect(await sync('full')).toBe(0)
    expect(stderr.text).not.toContain('\u001b')
  })
})

describe('a dry run', () => {
  it.each(['full', 'sync'])('of %s prints a plan and writes nothing', async (command) => {
    const { sync, sink, source, checkpoints, stdout } = setUp()
    expect(await sync(command, '--dry-run')).toBe(0)
    expect(stdout.text).toContain('nothing was written')
    expect(stdout.text).toContain('  public.users  1 column, about 3 rows, key id\n')
    expect(stdout.text.split('\n').filter((line) => line.length > 160)).toEqual([])
    expect(stdout.text).not.toContain('canary')
    expect([source.calls, sink.calls, sink.ids]).toEqual([['open', 'check', 'close'], [], []])
    await expect(readdir(checkpoints)).rejects.toThrow('ENOENT')
  })

  it('prints one object as JSON', async () => {
    const { sync, stdout } = setUp()
    expect(await sync('incremental', '--incremental-from', '8', '--dry-run', '--log-format', 'json')).toBe(0)
    expect(JSON.parse(stdout.text)).toMatchObject({
      event: 'plan',
      phases: ['incremental'],
      from: 'postgresql:sequence:8',
      tables: [{ table: 'public.users', key: ['id'], columns: 1, rows_expected: 3 }],
    })
  })
})

describe('incremental', () => {
  it('ends where it was told to and saves the position', async () => {
    const { sync, sink, checkpoints, stderr } = setUp()
    expect(await sync('incremental', '--incremental-from', 'postgresql:sequence:5', '--incremental-to', '8')).toBe(0)
    expect(sink.ids).toEqual([6, 7, 8])
    expect(stderr.text).toContain('Caught up with the source at postgresql:sequence:8')
    expect(stderr.text).toMatch(/Finished: 1 table, 3 changes .*, position postgresql:sequence:8 \[.*\]\n$/)
    const content = JSON.parse(await readFile(join(checkpoints, 'checkpoint_incremental.json'), 'utf8'))
    expect(content).toMatchObject({ phase: 'incremental', position: '8', resume_after: '8' })
  })

  it('resumes, replays on purpose, and never skips', async () => {
    const first = setUp()
    expect(await first.sync('incremental', '--incremental-from', '5', '--incremental-to', '7')).toBe(0)
    const again = setUp()
    expect(await again.sync('incremental', '--incremental-from', '5', '--incremental-to', '8')).toBe(0)
    expect(again.sink.ids).toEqual([8])
    const replay = setUp()
    expect(await replay.sync('incremental', '--incremental-from', '5', '--incremental-to', '8', '--replay')).toBe(0)
    expect(replay.sink.ids).toEqual([6, 7, 8])
    const skipping = setUp()
    expect(await skipping.sync('incremental', '--incremental-from', '9')).toBe(2)
    expect(skipping.stderr.text).toMatch(/error: .* would skip some \[E_CHECKPOINT_MISMATCH\]\nhint: /)
  })

  it('exits 0 at the timeout', async () => {
    const { sync, clock, sink, stderr } = setUp()
    const running = sync('incremental', '--incremental-from', '5', '--timeout', '90s')
    await stderr.saw('Caught up')
    clock.fire(90_000)
    expect(await running).toBe(0)
    expect(clock.pending).toBe(0)
    expect(sink.ids).toEqual([6, 7, 8, 9])
    expect(stderr.text).toContain('Stopped at the timeout: 1 table, 4 changes')
  })

  it('gives the code of what failed', async () => {
    const { sync, source, stderr } = setUp()
    source.open = async () => {
      throw new SyncError('E_UNREACHABLE', 'Nobody answers at localhost:5432', { hint: 'Is it running?' })
    }
    expect(await sync('incremental', '--incremental-from', '5')).toBe(4)
    expect(stderr.text).toMatch(/error: Nobody answers at localhost:5432 \[E_UNREACHABLE\]\nhint: Is it running\?\n$/)
  })
})

describe('sync', () => {
  it('copies, follows until it is stopped, and goes on from there', async () => {
    const { sync, signals, stderr, sink, source } = setUp()
    const running = sync('sync')
    await stderr.saw('Caught up')
    signals.emit('SIGTERM')
    expect(await running).toBe(0)
    expect(sink.ids).toEqual([1, 2, 3, 6, 7, 8, 9])
    expect(stderr.text).toContain('Stopping after the open writes')
    expect(stderr.text).toContain('Stopped: 1 table, 3 rows, 4 changes')
    expect(source.calls.at(-1)).toBe('close')
    expect(signals.eventNames()).toEqual([])
    const again = setUp()
    const resumed = again.sync('sync', '--timeout', '1m')
    await again.stderr.saw('Applying changes')
    again.clock.fire(60_000)
    expect(await resumed).toBe(0)
    expect(again.sink.ids).toEqual([])
  })

  it('logs a line per interval in which something changed', async () => {
    const { sync, clock, signals, stderr } = setUp()
    const running = sync('sync')
    await stderr.saw('Caught up')
    const lines = () => stderr.text.match(/surreal_sync::postgresql: 4 changes in .*\/s, lag .*\n/g)?.length ?? 0
    clock.fire(10_000)
    expect(lines()).toBe(1)
    clock.fire(10_000)
    expect(lines()).toBe(1)
    signals.emit('SIGINT')
    expect(await running).toBe(0)
    expect(clock.pending).toBe(0)
  })

  it('ends when open writes take too long after a signal', async () => {
    const { sync, clock, signals, stderr, exits } = setUp()
    const running = sync('sync')
    await stderr.saw('Caught up')
    signals.emit('SIGTERM')
    clock.fire(25_000)
    expect(exits).toEqual([143])
    expect(await running).toBe(0)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('ends at once after a second signal: %s', async (signal, code) => {
    const { sync, signals, stderr, sink, exits } = setUp({ terminal: true })
    let release = () => {}
    const begun = new Promise<void>((resolve) => {
      sink.write = () => {
        resolve()
        return new Promise((durable) => {
          release = durable
        })
      }
    })
    const running = sync('sync')
    await begun
    signals.emit(signal)
    expect(exits).toEqual([])
    signals.emit(signal)
    expect(exits).toEqual([code])
    expect(stderr.text.endsWith('\u001b[?25h')).toBe(true)
    release()
    expect(await running).toBe(0)
  })
})
