import { CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import { describeError, usageError } from '../../src/cli/error-report.js'
import { Log, type LogFormat, type LogLevel } from '../../src/cli/log.js'
import { printable } from '../../src/cli/printable.js'
import { SyncError, type SyncErrorCode } from '../../src/index.js'

function collect(format: LogFormat, level: LogLevel): { log: Log; lines: string[] } {
  const lines: string[] = []
  return { log: new Log({ format, level, write: (line) => lines.push(line) }), lines }
}

describe('an error', () => {
  it.each<[SyncErrorCode, number]>([
    ['E_CONFIG', 2],
    ['E_AUTH', 2],
    ['E_TARGET_NOT_EMPTY', 2],
    ['E_CHECKPOINT_CORRUPT', 2],
    ['E_UNREACHABLE', 4],
    ['E_CONNECTION_LOST', 4],
    ['E_RETRY_EXHAUSTED', 4],
    ['E_LEASE_HELD', 5],
    ['E_LEASE_LOST', 5],
  ])('of code %s ends with %i', (code, exitCode) => {
    expect(describeError(new SyncError(code, 'x')).exitCode).toBe(exitCode)
  })

  it('is one line with its code and one with what to do', () => {
    const { log, lines } = collect('text', 'error')
    const error = new SyncError('E_TABLE_WITHOUT_KEY', 'Table public.log has no key', { hint: 'Add one.' })
    expect(log.failure(describeError(error))).toBe(2)
    expect(lines).toEqual(['error: Table public.log has no key [E_TABLE_WITHOUT_KEY]', 'hint: Add one.'])
  })

  it('is one object as JSON', () => {
    const { log, lines } = collect('json', 'error')
    log.failure(describeError(new SyncError('E_AUTH', 'Refused', { hint: 'Check it.' })))
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        time: expect.any(String),
        level: 'error',
        event: 'error',
        message: 'Refused',
        code: 'E_AUTH',
        hint: 'Check it.',
        exit_code: 2,
      },
    ])
  })

  it('shows where it was thrown only for debugging, and never what its causes say', () => {
    const cause = Object.assign(new TypeError('Failing row contains (1, canary-7f3a)\n    not a frame'), {
      code: '23502',
    })
    const error = new SyncError('E_SOURCE', 'The statement failed', { cause })
    const quiet = collect('text', 'info')
    quiet.log.failure(describeError(error))
    expect(quiet.lines).toHaveLength(1)
    const { log, lines } = collect('text', 'debug')
    log.failure(describeError(error))
    expect(lines).toContain('SyncError E_SOURCE')
    expect(lines).toContain('caused by TypeError 23502')
    expect(lines.filter((line) => line.includes('cli-error-report.test'))).not.toEqual([])
    expect(lines.join('\n')).not.toContain('canary')
  })

  it('that is a bug says so, without its message', () => {
    for (const bug of [new TypeError('canary-7f3a'), 'canary-7f3a', undefined, { canary: 1 }]) {
      const report = describeError(bug)
      expect(report).toMatchObject({ code: 'E_INTERNAL', exitCode: 1, hint: expect.stringContaining('bug') })
      expect(JSON.stringify(report)).not.toContain('canary-7f3a')
    }
    expect(describeError(new TypeError('x')).message).toBe('Internal error (TypeError)')
  })

  it('with a cause that is itself comes to an end', () => {
    const error = new Error('x')
    error.cause = error
    expect(describeError(error).stack.length).toBeLessThan(200)
  })
})

describe('wrong usage', () => {
  it('keeps the suggestion', () => {
    const error = new CommanderError(
      1,
      'commander.unknownOption',
      "error: unknown option '--pasword'\n(Did you mean --password?)",
    )
    expect(usageError(error)).toMatchObject({
      code: 'E_CONFIG',
      message: "Unknown option '--pasword'",
      details: { hint: 'Did you mean --password?' },
    })
  })

  it('is told apart from help and other errors', () => {
    expect(usageError(new CommanderError(0, 'commander.version', '1'))).toBe('answered')
    expect(usageError(new CommanderError(1, 'commander.help', '(outputHelp)'))).toBe('help')
    expect(usageError(new Error('x'))).toBeUndefined()
  })
})

describe('log lines', () => {
  it('look as the manual shows them', () => {
    const { log, lines } = collect('text', 'info')
    log.event('info', 'checkpoint', 'Emitted full sync start checkpoint (t1): postgresql:sequence:0')
    log.event('debug', 'table', 'hidden')
    expect(lines).toEqual([
      'INFO surreal_sync::postgresql: Emitted full sync start checkpoint (t1): postgresql:sequence:0',
    ])
  })

  it('stay one line, whatever a table is called', () => {
    const { log, lines } = collect('text', 'info')
    log.event('warn', 'warning', 'Table public.a\nINFO forged\u001b[2J\u202e skipped')
    expect(lines).toEqual(['WARN surreal_sync::postgresql: Table public.a\\u000aINFO forged\\u001b[2J\\u202e skipped'])
    expect(printable('žluťoučký 表 🦄')).toBe('žluťoučký 表 🦄')
  })

  it('are objects with stable names as JSON', () => {
    const { log, lines } = collect('json', 'info')
    log.event('info', 'checkpoint', 'Emitted', {
      kind: 'full_sync_start',
      position: 'postgresql:sequence:0',
      lag_ms: undefined,
    })
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: 'info',
      event: 'checkpoint',
      message: 'Emitted',
      kind: 'full_sync_start',
      position: 'postgresql:sequence:0',
    })
  })
})
