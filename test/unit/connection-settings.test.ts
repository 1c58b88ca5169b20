import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import { parseAddress } from '../../src/connections/surreal/address.js'
import { tlsWarning } from '../../src/connections/surreal/tls.js'
import { isNearHost } from '../../src/core/near-host.js'
import { SyncError } from '../../src/index.js'

const parse = (text: string, overrides = {}) => parseConnection(text, overrides, {})

describe('parseConnection', () => {
  it('reads a full url, with escapes', async () => {
    const settings = parse('postgresql://us%40er:p%2Fw@db.example.com:6543/my%20app')
    expect(settings).toMatchObject({
      host: 'db.example.com',
      port: 6543,
      user: 'us@er',
      database: 'my app',
    })
    expect(await settings.password()).toBe('p/w')
  })

  it('lets options win over the url, and the url over the environment', async () => {
    const environment = { PGUSER: 'env', PGPASSWORD: 'env', PGHOST: 'env', PGDATABASE: 'env', PGPORT: '1' }
    const settings = parseConnection('postgresql://url@host/db', { database: 'other' }, environment)
    expect(settings).toMatchObject({ host: 'host', port: 1, user: 'url', database: 'other' })
    expect(await settings.password()).toBe('env')
  })

  it('reads sockets and IPv6 addresses', () => {
    expect(parse('postgresql:///db?host=/tmp/pg')).toMatchObject({
      host: '/tmp/pg',
      tls: [{ kind: 'plain', next: 'never' }],
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
      expect(parse(`postgresql://u@${host}/db`).tls).toMatchObject([
        { verify: 'full', next: 'not offered' },
        { kind: 'plain', warning: expect.stringContaining('not encrypted') },
      ])
    },
  )

  it.each([
    ['mysql://h/db', /postgresql:\/\//],
    ['host=localhost dbname=x', /postgresql:\/\//],
    ['postgresql://h/db?sslmode=REQUIRE', /unknown sslmode/],
    ['postgresql://h/db?sslrootcert=/nonexistent', /cannot be read/],
    ['postgresql://h/db?options=-c', /parameter options/],
    ['postgresql://h:99999/db', /parsed|port/],
    ['postgresql://u:50%zz@h/db', /followed by two/],
    ['postgresql://h/db?sslrootcert=system&sslmode=require', /weak sslmode/],
  ])('refuses %s without showing it', (text, message) => {
    expect(() => parse(text)).toThrowError(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringMatching(message) }),
    )
  })
})

describe('a password that is not encoded', () => {
  const encode = expect.stringMatching(/a password, write \/ as %2F/)

  it.each(['12?can&ary', '12/canary', '12?canary', '12#canary', '12/can?ary', '12?host=canary', '12?x&can&ary'])(
    'is not shown in parts: %s',
    (password) => {
      const make = () => parse(`postgresql://u:${password}@h/db?sslmode=disable`)
      expect(make).toThrowError(
        expect.objectContaining({
          code: 'E_CONFIG',
          message: expect.not.stringMatching(/can|ary|12/),
          details: { hint: encode },
        }),
      )
    },
  )

  it('is not shown as the name of a parameter', () => {
    const unknown = (name: string) => () => parse(`postgresql://h/db?${name}=1`)
    expect(unknown('p%C3%A4r')).toThrow('has a parameter, which is not supported')
    expect(unknown('options')).toThrow('has the parameter options, which is not supported')
  })

  it('is what it is when encoded', async () => {
    const settings = parse('postgresql://u%40x:12%3Fcan%26ary%2F%23%40@h/my%40db?user=a@b')
    expect(settings).toMatchObject({ user: 'u@x', database: 'my@db', host: 'h' })
    expect(await settings.password()).toBe('12?can&ary/#@')
  })
})

describe('passwords', () => {
  let home: string

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'surreal-sync-home-'))
  })

  afterEach(() => rm(home, { recursive: true, force: true }))

  const password = (text: string, environment: Record<string, string>) =>
    parseConnection(text, {}, environment).password()

  it('are not seen by whoever looks at the settings', () => {
    const settings = parse('postgresql://u:canary@h/db', { tls: { passphrase: 'canary' } })
    expect(inspect(settings, { depth: 10, showHidden: true })).not.toContain('canary')
    expect(JSON.stringify(settings)).not.toContain('canary')
  })

  it('come from a function each time one is needed', async () => {
    let count = 0
    const { password } = parse('postgresql://u:not-this@h/db', { password: async () => `token ${++count}` })
    expect([await password(), await password()]).toEqual(['token 1', 'token 2'])
  })

  it('that a function does not get have a code', async () => {
    const failing = (error: Error) => parse('postgresql://u@h/db', { password: () => Promise.reject(error) }).password()
    await expect(failing(new Error('away'))).rejects.toMatchObject({ code: 'E_PASSWORD', retryable: true })
    await expect(failing(new SyncError('E_AUTH', 'Log in first'))).rejects.toMatchObject({ code: 'E_AUTH' })
    await expect(parse('postgresql://u@h/db').password()).rejects.toMatchObject({ code: 'E_AUTH' })
  })

  it.skipIf(process.platform === 'win32')('come from ~/.pgpass, by the first line that fits', async () => {
    const lines = [
      '# h:5432:db:u:commented',
      'h:5433:db:u:other port',
      String.raw`h:5432:d\:b:u:a\:b\\c`,
      '*:*:*:nobody:never',
      '127.0.0.1:5432:db:*:any user',
      'localhost:5432:*:u:local',
      'broken line',
      '*:*:*:last:with : colons',
    ]
    await writeFile(join(home, '.pgpass'), `${lines.join('\r\n')}\n`, { mode: 0o600 })
    const environment = { HOME: home }
    expect(await password('postgresql://u@h/d%3Ab', environment)).toBe(String.raw`a:b\c`)
    expect(await password('postgresql://somebody@127.0.0.1/db', environment)).toBe('any user')
    expect(await password('postgresql:///any?host=/tmp&user=u', environment)).toBe('local')
    expect(await password('postgresql://last@x/db', environment)).toBe('with : colons')
    expect(await password('postgresql://u:own@h/d%3Ab', environment)).toBe('own')
    await expect(password('postgresql://u@h/db', environment)).rejects.toMatchObject({ code: 'E_AUTH' })
  })

  it.skipIf(process.platform === 'win32')('in a file that others can read are not used', async () => {
    const file = join(home, 'passwords')
    await writeFile(file, '*:*:*:*:secret\n')
    await chmod(file, 0o640)
    const environment = { PGPASSFILE: file }
    await expect(password('postgresql://u@h/db', environment)).rejects.toMatchObject({
      code: 'E_CONFIG',
      details: { hint: expect.stringContaining('chmod 600') },
    })
    await chmod(file, 0o400)
    expect(await password('postgresql://u@h/db', environment)).toBe('secret')
  })

  it.skipIf(process.platform === 'win32')(
    'keys that others can read are refused, and ~/.postgresql is looked at',
    async () => {
      await mkdir(join(home, '.postgresql'))
      const file = (name: string) => join(home, '.postgresql', name)
      for (const name of ['postgresql.crt', 'postgresql.key']) await writeFile(file(name), 'no PEM', { mode: 0o644 })
      const check = () => parseConnection('postgresql://u@h/db', {}, { HOME: home })
      expect(check).toThrow(/others can read/)
      await chmod(file('postgresql.key'), 0o600)
      expect(check).toThrow(/cannot be used/)
      expect(parseConnection('postgresql://u@h/db?sslmode=disable', {}, { HOME: home }).tls).toHaveLength(1)
    },
  )
})

describe('hosts', () => {
  it.each([
    'localhost',
    '127.1.2.3',
    '10.0.0.1',
    '192.168.9.9',
    '172.31.0.1',
    '169.254.1.1',
    '::1',
    '[::1]',
    'fd00::1',
    'db',
  ])('%s is near', (host) => expect(isNearHost(host)).toBe(true))
  it.each([
    '10.example.com',
    '192.168.1.1.example.com',
    '172.32.0.1',
    '127.1',
    '8.8.8.8',
    '2001:db8::1',
    'fd.example',
    'localhost.',
  ])('%s is not', (host) => expect(isNearHost(host)).toBe(false))

  it.each([
    ['ws://db.example.com', true, 'plaintext'],
    ['http://8.8.8.8:8000', true, 'plaintext'],
    ['ws://localhost:8000', true, undefined],
    ['wss://db.example.com', true, undefined],
    ['wss://db.example.com', false, 'tls_unverified'],
    ['wss://127.0.0.1', false, undefined],
    ['surrealkv:///tmp/x', true, undefined],
  ])('SurrealDB at %s, verified: %s, is warned of with %s', (url, verify, code) => {
    expect(tlsWarning(parseAddress(url), { verify })?.code).toBe(code)
  })
})
