import { describe, expect, it } from 'vitest'
import { parseEndpoint } from '../../src/cli/endpoint.js'
import { pipelineId } from '../../src/cli/pipeline-id.js'

describe('an endpoint', () => {
  it.each([
    'ws://localhost:8000',
    'wss://x.example/rpc',
    'http://[::1]:8000',
    'HTTPS://x',
    'mem://',
    'surrealkv://a/b',
  ])('may be %s', (text) => {
    expect(parseEndpoint(` ${text} `)).toBe(text)
  })

  it.each(['', 'localhost:8000', 'tcp://localhost', 'ws:localhost', 'ws://', 'ws://a b', 'javascript:alert(1)'])(
    'is not %j',
    (text) => {
      expect(() => parseEndpoint(text)).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
    },
  )

  it('with a password is refused without repeating it', () => {
    expect(() => parseEndpoint('ws://root:canary-7f3a@localhost')).toThrow(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.not.stringContaining('canary') }),
    )
  })
})

describe('a pipeline id', () => {
  it('is readable, legal, and the same every time', () => {
    expect(pipelineId({ source: 'my app', namespace: 'production', database: 'ü' })).toMatch(
      /^my_app_production___[0-9a-f]{8}$/,
    )
    expect(pipelineId({ source: 'a', namespace: 'b', database: 'c' })).toBe('a_b_c_fa1844c2')
  })

  it('tells apart what looks alike', () => {
    const ids = [
      pipelineId({ source: 'a_b', namespace: 'c', database: 'd' }),
      pipelineId({ source: 'a', namespace: 'b_c', database: 'd' }),
      pipelineId({ source: 'a.b', namespace: 'c', database: 'd' }),
      pipelineId({ source: 'ä_b', namespace: 'c', database: 'd' }),
    ]
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('fits, however long the names', () => {
    const [x, y] = ['x', 'y'].map((end) =>
      pipelineId({ source: 'a'.repeat(63), namespace: 'b'.repeat(99), database: end }),
    )
    expect(x).toMatch(/^[A-Za-z0-9_-]{64}$/)
    expect(x).not.toBe(y)
  })
})
