/** PostGIS's binary form, on bytes written by hand. */
import { describe, expect, it } from 'vitest'
import type { LogicalType } from '../../src/core/value.js'
import { writeValue } from '../../src/core/write-value.js'
import { extensionTypes } from '../../src/sources/postgres/codecs/builtin.js'
import { wireOf } from '../../src/sources/postgres/codecs/codec.js'
import { RecordingWriter } from '../support/recording-writer.js'

const { codec, type } = extensionTypes.get('geometry_send geometry') ?? fail()

function fail(): never {
  throw new Error('There is no codec for geometry')
}

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes.toString('hex')
}
const double = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return bytes.toString('hex')
}
const doubles = (...values: readonly number[]) => values.map(double).join('')
/** Little-endian: the head, and what comes behind it. */
const little = (kind: number, ...parts: readonly string[]) => `01${uint32(kind)}${parts.join('')}`
const list = (...parts: readonly string[]) => `${uint32(parts.length)}${parts.join('')}`

const [z, m, srid] = [0x80000000, 0x40000000, 0x20000000]
const ring = list(doubles(0, 0), doubles(4, 0), doubles(4, 4), doubles(0, 0))
const hole = list(doubles(1, 0.5), doubles(2, 0.5), doubles(2, 1), doubles(1, 0.5))

function decode(hex: string) {
  const wire = wireOf(Buffer.from(`ff${hex}ff`, 'hex'))
  const [start, end] = [1, wire.bytes.length - 1]
  const value = codec.decode(wire, start, end)
  const [direct, indirect] = [new RecordingWriter(), new RecordingWriter()]
  codec.transcode(wire, start, end, direct)
  writeValue(value, type satisfies LogicalType, indirect)
  expect(direct.calls).toEqual(indirect.calls)
  return value
}

describe('EWKB', () => {
  it.each([
    [little(1, doubles(1, -2.5)), { type: 'Point', coordinates: [1, -2.5] }],
    ['00000000013ff00000000000004000000000000000', { type: 'Point', coordinates: [1, 2] }],
    [little(1 + srid, uint32(4326), doubles(1, 2)), { type: 'Point', coordinates: [1, 2], srid: 4326 }],
    [little(1 + z, doubles(1, 2, 3)), { type: 'Point', coordinates: [1, 2, 3] }],
    [little(1 + m, doubles(1, 2, 3)), { type: 'Point', dimensions: 'XYM', coordinates: [1, 2, 3] }],
    [little(1 + z + m, doubles(1, 2, 3, 4)), { type: 'Point', coordinates: [1, 2, 3, 4] }],
    [little(1, doubles(Number.NaN, Number.NaN)), { type: 'Point', coordinates: [] }],
    [
      little(2, list(doubles(0, 0), doubles(1, 1))),
      {
        type: 'LineString',
        coordinates: [
          [0, 0],
          [1, 1],
        ],
      },
    ],
    [little(2, list()), { type: 'LineString', coordinates: [] }],
    [
      little(3, list(ring, hole)),
      {
        type: 'Polygon',
        coordinates: [
          [
            [0, 0],
            [4, 0],
            [4, 4],
            [0, 0],
          ],
          [
            [1, 0.5],
            [2, 0.5],
            [2, 1],
            [1, 0.5],
          ],
        ],
      },
    ],
    [
      little(4 + srid, uint32(3857), list(little(1, doubles(1, 2)), little(1, doubles(3, 4)))),
      {
        type: 'MultiPoint',
        coordinates: [
          [1, 2],
          [3, 4],
        ],
        srid: 3857,
      },
    ],
    [
      little(5, list(little(2, list(doubles(0, 0), doubles(1, 1))))),
      {
        type: 'MultiLineString',
        coordinates: [
          [
            [0, 0],
            [1, 1],
          ],
        ],
      },
    ],
    [
      little(6, list(little(3, list(ring)))),
      {
        type: 'MultiPolygon',
        coordinates: [
          [
            [
              [0, 0],
              [4, 0],
              [4, 4],
              [0, 0],
            ],
          ],
        ],
      },
    ],
    [
      little(7, list(little(1, doubles(1, 2)), little(7, list()))),
      {
        type: 'GeometryCollection',
        geometries: [
          { type: 'Point', coordinates: [1, 2] },
          { type: 'GeometryCollection', geometries: [] },
        ],
      },
    ],
    [
      little(8, list(doubles(0, 0), doubles(1, 1), doubles(2, 0))),
      {
        type: 'CircularString',
        coordinates: [
          [0, 0],
          [1, 1],
          [2, 0],
        ],
      },
    ],
    [
      little(9, list(little(2, list(doubles(0, 0), doubles(1, 1))))),
      {
        type: 'CompoundCurve',
        geometries: [
          {
            type: 'LineString',
            coordinates: [
              [0, 0],
              [1, 1],
            ],
          },
        ],
      },
    ],
    [
      little(
        16 + z,
        list(little(17 + z, list(list(doubles(0, 0, 0), doubles(1, 0, 0), doubles(0, 1, 0), doubles(0, 0, 0))))),
      ),
      {
        type: 'Tin',
        geometries: [
          {
            type: 'Triangle',
            coordinates: [
              [
                [0, 0, 0],
                [1, 0, 0],
                [0, 1, 0],
                [0, 0, 0],
              ],
            ],
          },
        ],
      },
    ],
  ])('%s is read as GeoJSON', (hex, value) => {
    expect(decode(hex)).toEqual({ kind: 'geojson', value })
  })

  it('stays bytes where its kind is not known, or too deep', () => {
    const deep = `${little(7, uint32(1)).repeat(100)}${little(1, doubles(1, 2))}`
    for (const hex of [little(21, 'abcdef'), little(7, list(little(99))), deep]) {
      expect(decode(hex)).toEqual({ kind: 'other', value: { ewkb: hex.toUpperCase() } })
    }
  })

  it.each([
    '',
    '01',
    '02',
    little(1, double(1)),
    `${little(1, doubles(1, 2))}00`,
    little(2, uint32(0xffffffff)),
    little(3, uint32(1), uint32(4), doubles(1, 2)),
    little(7, uint32(2), little(1, doubles(1, 2))),
    little(1 + srid),
  ])('%s is refused, not misread', (hex) => {
    const wire = wireOf(Buffer.from(hex, 'hex'))
    expect(() => codec.decode(wire, 0, wire.bytes.length)).toThrowError(
      expect.objectContaining({ code: 'E_SOURCE_PROTOCOL' }),
    )
  })
})
