import { describe, expect, it } from 'vitest'
import { settle } from '../../src/cli/settings.js'
import { parseValues, valueHelp } from '../../src/cli/value-flags.js'
import { choices } from '../../src/sinks/surreal/types.js'
import { ValueChoices } from '../../src/sinks/surreal/value-choices.js'
import { defineTable } from '../../src/testing/index.js'

const took = { name: 'took', type: { kind: 'interval' }, sourceType: 'interval', nullable: true } as const
const at = {
  name: 'at',
  type: { kind: 'timestamp' },
  sourceType: 'timestamp(3) with time zone',
  nullable: true,
} as const
const events = { ...defineTable('public.events', { id: 'integer' }, ['id']), columns: [took, at] }

describe('--value', () => {
  it('chooses for all, for a type and for a column; the most exact choice counts', () => {
    const values = parseValues([
      'interval=string',
      'nulls=none',
      'timestamptz.infinity=null',
      'public.events.took.interval=object',
      'public.events.took.nulls=null',
    ])
    const chosen = new ValueChoices({ interval: 'duration', uuid: 'string' }, values)
    expect(chosen.general).toMatchObject({ interval: 'string', nulls: 'none', uuid: 'string', infinity: 'string' })
    expect(chosen.forms(events, took)).toMatchObject({ interval: 'object', nulls: 'null', uuid: 'string' })
    expect(chosen.forms(events, at)).toMatchObject({ infinity: 'null', nulls: 'none' })
    const other = { ...events, label: 'other.events' }
    expect(chosen.forms(other, took)).toBe(chosen.general)
    expect(chosen.unused([events])).toEqual({ columns: [], types: [] })
    expect(chosen.unused([other])).toEqual({ columns: ['public.events.took'], types: [] })
  })

  it('knows types by their short names, with modifiers and in arrays', () => {
    const columnOf = (sourceType: string) => ({ ...took, sourceType })
    const chosen = new ValueChoices(
      {},
      {
        types: {
          decimal: { numericOverflow: 'float' },
          'numeric(5,2)': { numericOverflow: 'error' },
          'varchar(5)': { nulls: 'none' },
        },
        columns: { 'events.took': { nulls: 'none' } },
      },
    )
    const form = (type: string) => chosen.forms(events, columnOf(type)).numericOverflow
    expect(['numeric', 'numeric(12,-2)', 'numeric[]', 'numeric(5,2)[]', 'text'].map(form)).toEqual([
      'float',
      'float',
      'float',
      'error',
      'string',
    ])
    expect(chosen.forms(events, { ...columnOf('character varying(5)'), name: 'x' }).nulls).toBe('none')
    expect(chosen.forms(events, took).nulls).toBe('none')
    expect(chosen.unused([events]).types).toEqual(['numeric', 'numeric(5,2)', 'character varying(5)'])
  })

  it.each([
    ['interval', /does not choose anything/],
    ['=string', /does not choose anything/],
    ['interval=', /does not choose anything/],
  ])('%s is refused', (text, message) => {
    const flags = { sourceUri: 'postgresql://h/d', toNamespace: 'n', toDatabase: 'd', value: [text] }
    expect(() => settle('full', flags, {})).toThrow(message)
  })

  it.each([
    ['intervall=string', 'values.intervall does not exist: there are nulls, '],
    ['interval=text', 'values.interval is none of duration, string, object'],
    ['uuid.uuid=text', 'values.types.uuid.uuid is none of uuid, string'],
    ['a.b.toString=text', 'values.columns.a.b.toString does not exist'],
  ])('%s is refused by the sink', (text, message) => {
    expect(() => new ValueChoices({}, parseValues([text]))).toThrow(message)
  })

  it('is explained in full', () => {
    for (const [name, words] of Object.entries(choices)) expect(valueHelp).toContain(`${name}=${words.join('|')}`)
  })
})
