import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { secretArguments, withoutSecrets } from '../../src/cli/secret-arguments.js'
import { settle } from '../../src/cli/settings.js'

const place = { toNamespace: 'n', toDatabase: 'd' }

describe('arguments', () => {
  it.each([
    [
      ['--source-password', 'canary'],
      ['--source-password', '***'],
    ],
    [['--surreal-password=canary=x'], ['--surreal-password=***']],
    [
      ['--surreal-token', 'canary', '--quiet'],
      ['--surreal-token', '***', '--quiet'],
    ],
    [
      ['--source-uri', 'postgresql://u:canary@h/db'],
      ['--source-uri', '***'],
    ],
    [['--source-uri=postgresql://h/db?user=u&password=canary'], ['--source-uri=***']],
    [
      ['--source-uri', 'postgresql://u:can@ary@h/db'],
      ['--source-uri', '***'],
    ],
    [
      ['--source-uri', 'postgresql://h/db?sslpassword=canary'],
      ['--source-uri', '***'],
    ],
  ])('%j are shown as %j', (argv, shown) => {
    expect(withoutSecrets(['full', ...argv])).toEqual(['full', ...shown])
    expect(secretArguments(['full', ...argv])).toHaveLength(1)
  })

  it.each([
    [['--source-uri', 'postgresql://u@h:5432/db']],
    [['--source-uri=postgresql://h/db']],
    [['--id', 'x']],
    [['--source-password']],
  ])('%j hold no secret', (argv) => {
    expect(withoutSecrets(argv)).toEqual(argv)
    expect(secretArguments(argv)).toEqual([])
  })
})

describe('variables', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'surreal-sync-secrets-'))
  })

  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('name files that have the secrets, without the line break at the end', async () => {
    const file = async (name: string, content: string) => {
      await writeFile(join(folder, name), content)
      return join(folder, name)
    }
    const env = {
      SOURCE_URI_FILE: await file('uri', 'postgresql://u@h/db\n'),
      SOURCE_PASSWORD_FILE: await file('password', ' two words \r\n'),
      SURREAL_TOKEN_FILE: await file('token', 'a.b.c\n\n'),
    }
    const { source, sink } = settle('sync', place, env)
    expect(source).toMatchObject({ url: 'postgresql://u@h/db', password: ' two words ' })
    expect(sink).toMatchObject({ token: 'a.b.c\n' })
    expect(sink.username).toBeUndefined()
    const config = { sourcePassword: 'of the config' }
    expect(settle('sync', place, env, config).source.password).toBe(' two words ')
    expect(settle('sync', { ...place, sourcePassword: 'flag' }, env).source.password).toBe('flag')
    expect(() => settle('sync', place, { ...env, SOURCE_PASSWORD: 'x' })).toThrow(/Both SOURCE_PASSWORD and/)
    const missing = { ...env, SURREAL_PASSWORD_FILE: join(folder, 'missing') }
    expect(() => settle('sync', place, missing)).toThrow(/SURREAL_PASSWORD_FILE names cannot be read/)
  })

  it('of libpq stand in for a URI', () => {
    const { source, id } = settle('sync', place, { PGHOST: 'db', PGDATABASE: 'shop', PGUSER: 'u' })
    expect(source.url).toBe('postgresql://')
    expect(id).toMatch(/^shop_n_d_/)
    expect(() => settle('sync', place, { PGUSER: 'u' })).toThrow(/--source-uri/)
  })
})

describe('SurrealDB', () => {
  const env = { SOURCE_URI: 'postgresql://h/db' }

  it('is signed in to as root, at a level, or with a token', () => {
    expect(settle('sync', place, env).sink).toMatchObject({ username: 'root', password: 'root' })
    const user = { surrealUsername: 'u', surrealPassword: 'p', surrealAuthLevel: 'namespace' }
    expect(settle('sync', { ...place, ...user }, env).sink).toMatchObject({ username: 'u', authLevel: 'namespace' })
    const byToken = settle('sync', place, { ...env, SURREAL_TOKEN: 'a.b.c' }).sink
    expect(byToken).toEqual(expect.objectContaining({ token: 'a.b.c' }))
    expect(byToken.username).toBeUndefined()
    expect(() => settle('sync', { ...place, ...user, surrealToken: 'a.b.c' }, env)).toThrow(/both a token/)
  })

  it('has an authority of its own', () => {
    expect(settle('sync', place, { ...env, SURREAL_CA_FILE: 'ca.pem' }).sink.tls).toEqual({
      ca: 'ca.pem',
      verify: true,
    })
    expect(settle('sync', { ...place, surrealInsecure: true }, env).sink.tls).toMatchObject({ verify: false })
  })
})
