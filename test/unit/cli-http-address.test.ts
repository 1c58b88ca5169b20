import { expect, it } from 'vitest'
import { parseHttpAddress } from '../../src/cli/http-address.js'

it.each([
  ['9400', '127.0.0.1', 9_400],
  ['0', '127.0.0.1', 0],
  ['127.0.0.1:9400', '127.0.0.1', 9_400],
  ['localhost:1', 'localhost', 1],
  ['0.0.0.0:65535', '0.0.0.0', 65_535],
  ['[::1]:9400', '::1', 9_400],
])('reads %s', (text, host, port) => {
  expect(parseHttpAddress(text)).toEqual({ host, port })
})

// A host that is left out would be all addresses elsewhere, so it is refused rather than guessed.
it.each(['', ':9400', '65536', '127.0.0.1', '127.0.0.1:', '::1:9400', 'http://127.0.0.1:9400', 'a b:1', '-1'])(
  'refuses %j',
  (text) => {
    expect(() => parseHttpAddress(text)).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
  },
)
