import { describe, expect, it } from 'vitest'
import { parseConnection } from '../../src/sources/postgres/connection-settings.js'

const parse = (text: string, overrides = {}) => parseConnection(text, overrides, {})

describe('parseConnection', () => {
  it('reads a full url, with escapes', () => {
    expect(parse('postgresql://us%40er:p%2Fw@db.example.com:6543/my%20app')).toMatchObject({
      host: 'db.example.com',
      port: 6543,
      user: 'us@er',
      password: 'p/w',
      database: 'my app',
    })
  })

  it('lets options win over the url, and the url over the environment', () => {
    const environment = { PGUSER: 'env', PGPASSWORD: 'env', PGHOST: 'env', PGDATABASE: 'env', PGPORT: '1' }
    const settings = parseConnection('postgresql://url@host/db', { database: 'other' }, environment)
    expect(settings).toMatchObject({ host: 'host', port: 1, user: 'url', password: 'env', database: 'other' })
  })

  it('reads sockets and IPv6 addresses', () => {
    expect(parse('postgresql:///db?host=/tmp/pg')).toMatchObject({
      host: '/tmp/pg',
      tls: [{ kind: 'plain', warn: false }],
    })
    expect(parse('postgresql://%2Ftmp%2Fpg/db').host).toBe('/tmp/pg')
    expect(parse('postgresql://[::1]:5433/db')).toMatchObject({ host: '::1', port: 5433 })
  })

  it.each([
    ['disable', ['plain']],
    ['allow', ['plain', 'none']],
    ['prefer', ['none', 'plain']],
    ['require', ['none']],
    ['no-verify', ['none']],
    ['verify-ca', ['chain']],
    ['verify-full', ['full']],
  ])('sslmode=%s is obeyed', (mode, expected) => {
    const { tls } = parse(`postgresql://u@db.example.com/db?sslmode=${mode}`)
    expect(tls.map((attempt) => (attempt.kind === 'plain' ? 'plain' : attempt.verify))).toEqual(expected)
  })

  it.each(['db.example.com', '8.8.8.8', '172.32.0.1'])('without sslmode demands verified TLS from %s', (host) => {
    expect(parse(`postgresql://u@${host}/db`).tls).toMatchObject([{ kind: 'tls', verify: 'full' }])
  })

  it.each(['localhost', '127.0.0.1', 'postgresql', '10.1.2.3', '192.168.1.1', '172.20.0.2', '[::1]'])(
    'without sslmode falls back to plaintext with a warning at %s',
    (host) => {
      expect(parse(`postgresql://u@${host}/db`).tls).toMatchObject([{ verify: 'full' }, { kind: 'plain', warn: true }])
    },
  )

  it.each([
    ['mysql://h/db', /postgresql:\/\//],
    ['host=localhost dbname=x', /postgresql:\/\//],
    ['postgresql://h/db?sslmode=REQUIRE', /unknown sslmode/],
    ['postgresql://h/db?sslrootcert=/nonexistent', /cannot be read/],
    ['postgresql://h/db?options=-c', /parameter options/],
    ['postgresql://h:99999/db', /parsed|port/],
  ])('refuses %s without showing it', (text, message) => {
    expect(() => parse(text)).toThrowError(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringMatching(message) }),
    )
  })
})
