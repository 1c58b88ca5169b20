import { describe, expect, it } from 'vitest'
import { ByteTarget, type WrittenPiece } from '../../src/sinks/surreal/byte-target.js'

const MiB = 1024 * 1024
const good: WrittenPiece = { rowCount: 10, byteCount: MiB, ms: 20, failed: false }

function targetAfter(pieces: readonly Partial<WrittenPiece>[], roundTripMs = 1) {
  const target = new ByteTarget()
  target.begin(roundTripMs)
  for (const piece of pieces) target.note({ ...good, ...piece })
  return target.atMost(8 * MiB)
}

const times = (count: number, piece: Partial<WrittenPiece> = {}) => Array.from({ length: count }, () => piece)

describe('the size of transactions', () => {
  it('is what it may be while all is well', () => {
    expect(targetAfter([])).toBe(8 * MiB)
    expect(targetAfter(times(1_000))).toBe(8 * MiB)
  })

  it.each([{ ms: 251.5 }, { failed: true }])('is half of one with %o', (bad) => {
    expect(targetAfter([bad])).toBe(MiB / 2)
    expect(targetAfter([bad, { ...bad, byteCount: MiB / 2 }])).toBe(MiB / 4)
  })

  it('grows by a quarter after 16 good ones in a row, up to where it began', () => {
    expect(targetAfter([{ failed: true }, ...times(15)])).toBe(MiB / 2)
    expect(targetAfter([{ failed: true }, ...times(16)])).toBe((MiB / 2) * 1.25)
    expect(targetAfter([{ failed: true }, ...times(15), { ms: 300, byteCount: MiB / 2 }, ...times(15)])).toBe(MiB / 4)
    expect(targetAfter([{ failed: true }, ...times(16 * 13)])).toBe(8 * MiB)
  })

  it('never becomes so small that only the round trips count', () => {
    expect(targetAfter(times(50, { failed: true }))).toBe(32 * 1024)
    expect(targetAfter([{ failed: true, byteCount: 100 }])).toBe(32 * 1024)
  })

  it('does not depend on how far away the target is, nor on rows that cannot be cut', () => {
    expect(targetAfter([{ ms: 400 }], 200)).toBe(8 * MiB)
    expect(targetAfter([{ ms: 4_000, rowCount: 1 }])).toBe(8 * MiB)
  })
})
