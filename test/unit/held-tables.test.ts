import { describe, expect, it } from 'vitest'
import { HeldTables } from '../../src/sources/postgres/held-tables.js'

describe('HeldTables', () => {
  it('keeps N below all that a table lacks, until it lacks nothing', () => {
    const held = new HeldTables()
    expect(held.lowest).toBeUndefined()
    expect(held.hold(7, 40)).toBe(true)
    expect(held.hold(7, 90)).toBe(false)
    held.hold(8, 50)
    expect(held.lowest).toBe(40)
    held.advance(7, 60)
    expect(held.lowest).toBe(50)
    held.release(8)
    expect(held.lowest).toBe(60)
    held.release(7)
    expect(held.lowest).toBeUndefined()
  })

  it('goes back for a row of an old transaction that appears below what was read again', () => {
    const held = new HeldTables()
    held.hold(7, 40)
    held.advance(7, 60)
    held.owe(7, 45)
    expect(held.lowest).toBe(44)
    held.owe(7, 50)
    held.owe(8, 1)
    expect(held.lowest).toBe(44)
  })
})
