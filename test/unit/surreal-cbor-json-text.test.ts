/** JSON text straight to CBOR, against the way over documents. */
import fc from 'fast-check'
import { CborCodec } from 'surrealdb'
import { describe, expect, it } from 'vitest'
import { CborWriter } from '../../src/sinks/surreal/cbor-writer.js'
import { CellSite, valueForms } from '../../src/sinks/surreal/types.js'
import { parseJson } from '../../src/sources/postgres/codecs/parse-json.js'

const codec = new CborCodec({})

function written(write: (writer: CborWriter) => boolean | undefined) {
  const forms = valueForms({})
  const writer = new CborWriter(forms, 16)
  writer.site = new CellSite('public.t', 'c', forms)
  const done = write(writer)
  return { done, position: writer.position, bytes: writer.slice(0, writer.position).slice(), site: writer.site }
}

/** Both ways, decoded, with what was counted. */
function bothWays(json: string) {
  const source = Buffer.from(`??${json}!`)
  const text = written((writer) => writer.jsonUtf8(source, 2, source.length - 1))
  const document = written((writer) => void writer.json(parseJson(json) ?? null))
  return [text, document].map(({ bytes, site }) => ({
    value: codec.decode(bytes),
    reasons: [...site.fallbacks.keys()],
  }))
}

const digits = fc.stringMatching(/^(0|[1-9]\d{0,40})$/)
const number = fc
  .tuple(fc.constantFrom('', '-'), digits, fc.constantFrom('', '.5', '.50', '.1234567890123456789012345'))
  .map((parts) => parts.join(''))
const exponent = fc
  .tuple(digits, fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.nat(400))
  .map((parts) => parts.join(''))
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' })).map((it) => JSON.stringify(it))
const blank = fc.constantFrom('', ' ', '\n\t ')
const json = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'medium' },
    number,
    exponent,
    text,
    fc.constantFrom('true', 'false', 'null', '{}', '[]', '"\\u0000\\/\\b"'),
    fc
      .tuple(blank, fc.array(tie('any'), { maxLength: 30 }))
      .map(([space, items]) => `[${space}${items.join(`,${space}`)}]`),
    fc
      .tuple(blank, fc.uniqueArray(fc.tuple(text, tie('any')), { selector: ([name]) => name, maxLength: 30 }))
      .filter(([, members]) => members.every(([name]) => name !== '"__proto__"'))
      .map(([space, members]) => `{${members.map(([name, value]) => `${name}:${space}${value}`).join(',')}}`),
  ),
})).any

describe('JSON text', () => {
  it('becomes what the document becomes', () => {
    fc.assert(
      fc.property(json, (value) => {
        const [direct, document] = bothWays(value)
        expect(direct).toEqual(document)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([0, 23, 24, 255, 256, 65_535, 65_536])('holds %d members', (count) => {
    const items = Array.from({ length: count }, (_, index) => index)
    const [array, object] = [JSON.stringify(items), JSON.stringify(Object.fromEntries(items.map((i) => [`n${i}`, i])))]
    for (const value of [array, object, `[${array},${object},1]`]) {
      const [direct] = bothWays(value)
      expect(direct?.value).toEqual(JSON.parse(value))
    }
  })

  it('leaves what is nested beyond 120 levels to the document', () => {
    const nested = (levels: number) => Buffer.from('['.repeat(levels) + ']'.repeat(levels))
    expect(written((writer) => writer.jsonUtf8(nested(120), 0, 240)).done).toBe(true)
    expect(written((writer) => writer.jsonUtf8(nested(121), 0, 242))).toMatchObject({ done: false, position: 0 })
  })

  it('leaves keys to the document', () => {
    const source = Buffer.from('{"a":1}')
    const { done, position } = written((writer) => {
      writer.keyed = true
      return writer.jsonUtf8(source, 0, source.length)
    })
    expect([done, position]).toEqual([false, 0])
  })

  it('takes nothing that is cut short or followed by something', () => {
    const source = Buffer.from('{"a": [1, "x\\n", true], "b": {"c": null}}')
    for (let end = 0; end < source.length; end += 1) {
      const { done, position } = written((writer) => writer.jsonUtf8(source, 0, end))
      expect([done, position], `up to ${end}`).toEqual([false, 0])
    }
    expect(written((writer) => writer.jsonUtf8(Buffer.from('1 2'), 0, 3)).done).toBe(false)
  })
})
