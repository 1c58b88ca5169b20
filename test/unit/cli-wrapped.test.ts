/** Reports on a terminal: no line is wider than it, and nothing is lost. */
import { describe, expect, it } from 'vitest'
import { widthOf } from '../../src/cli/printable.js'
import { describeStatus } from '../../src/cli/status-report.js'
import { wrapped } from '../../src/cli/wrapped.js'
import type { SourceStatus } from '../../src/index.js'

const line = '! source.tables  Table public.log has no primary key; it is left out 表は主キーがない'

describe('a line', () => {
  it.each([44, 60, 80])('is broken between words at %d columns, and goes on beneath itself', (columns) => {
    const lines = wrapped(line, { columns, indent: 17 })
    for (const each of lines) expect(widthOf(each)).toBeLessThanOrEqual(columns)
    for (const each of lines.slice(1)) expect(each).toMatch(/^ {17}\S/)
    expect(lines.map((each, index) => (index === 0 ? each : each.slice(17))).join(' ')).toBe(line)
  })

  it('stays whole without a terminal, in one that is too narrow, and where it fits', () => {
    expect(wrapped(line, { columns: undefined, indent: 17 })).toEqual([line])
    expect(wrapped(line, { columns: 30, indent: 17 })).toEqual([line])
    expect(wrapped('  two  spaces', { columns: 80, indent: 2 })).toEqual(['  two  spaces'])
  })

  it('keeps a word that is wider than the terminal', () => {
    const word = 'x'.repeat(50)
    expect(wrapped(`a ${word} b`, { columns: 30, indent: 0 })).toEqual(['a', word, 'b'])
  })
})

describe('a status', () => {
  const status: SourceStatus = {
    ...{ installed: true, sequence: 1_234_567, bytes: 12_345_678, changes: 98_765, detached: undefined },
    tables: [
      { label: `public.${'long'.repeat(15)}`, rows: 123_456_789, captured: true, changes: 12 },
      { label: 'public.t', rows: undefined, captured: false, changes: 0 },
    ],
    pipelines: [
      {
        ...{ id: 'myapp_prod_shop_1a2b3c4d', position: 1_134_567, seenAt: '2026-01-02T03:04:05.678Z', behind: 100_000 },
        ...{ lagMs: 7_300_000, running: false, phase: 'full', lastError: undefined },
        tables: [{ label: 'public.t', state: 'done', rows: 5 }],
      },
    ],
    oldestWriter: { pid: 4711, gid: undefined, user: 'app', state: 'idle in transaction', ageMs: 93_000_000 },
  }
  const show = (columns: number | undefined, auditBytesMax?: number) =>
    describeStatus(status, { address: 'postgresql://db.example.com/myapp', auditBytesMax, columns }).split('\n')

  it('fits a terminal of 80 columns', () => {
    const lines = show(80, 2 ** 24)
    expect(lines.filter((each) => widthOf(each) > 80)).toEqual([])
    const name = lines.findIndex((each) => /^public\.(?:long)+$/.test(each))
    expect(lines[name + 1]).toMatch(/^ +123,456,789 {2}12 +captured$/)
    expect(lines).toContain('Limit     16.0 MiB, 73 % of it taken')
  })

  it('is not cut where it is piped, and says that a limit is passed', () => {
    expect(show(undefined, 1_024).join('\n')).toMatch(/\nLimit {5}1\.0 KiB, EXCEEDED\n[\s\S]*(?:long){15} /)
    expect(show(undefined).join('\n')).not.toContain('Limit')
  })
})
