import { describe, expect, it } from 'vitest'
import { type Flags, settle } from '../../src/cli/settings.js'

const sourceUri = 'postgresql://me:canary-7f3a@localhost:5432/myapp'
const flags: Flags = { sourceUri, toNamespace: 'production', toDatabase: 'migrated' }

function refusal(command: 'full' | 'incremental' | 'sync', given: Flags): unknown {
  try {
    return settle(command, given, {})
  } catch (error) {
    return error
  }
}

describe('settings', () => {
  it('have the defaults of the manual', () => {
    expect(settle('full', flags, {})).toEqual({
      command: 'full',
      source: { url: sourceUri, keyless: 'refuse', snapshot: 'auto' },
      sink: {
        url: 'http://localhost:8000',
        namespace: 'production',
        database: 'migrated',
        username: 'root',
        password: 'root',
        existing: 'refuse',
        quarantine: false,
      },
      id: expect.stringMatching(/^myapp_production_migrated_[0-9a-f]{8}$/),
      batchSize: undefined,
      checkpointDir: undefined,
      incrementalFrom: undefined,
      incrementalTo: undefined,
      replay: false,
      restart: false,
      takeover: false,
      timeoutMs: undefined,
      dryRun: false,
      logFormat: 'text',
      logLevel: 'info',
      progress: true,
    })
  })

  it('save checkpoints except in a full sync that was not asked to', () => {
    const directory = './.surreal-sync-checkpoints'
    expect(settle('full', { ...flags, checkpointDir: 'x' }, {}).checkpointDir).toBeUndefined()
    expect(settle('full', { ...flags, emitCheckpoints: true }, {}).checkpointDir).toBe(directory)
    expect(settle('full', { ...flags, emitCheckpoints: true, checkpointDir: 'x' }, {}).checkpointDir).toBe('x')
    expect(settle('sync', flags, {}).checkpointDir).toBe(directory)
    expect(settle('incremental', { ...flags, incrementalFrom: '7' }, {}).checkpointDir).toBe(directory)
  })

  it('come from the environment where there is no flag', () => {
    const env = {
      SOURCE_URI: 'postgres://localhost/a',
      SOURCE_DATABASE: 'b',
      SOURCE_USERNAME: 'c',
      SOURCE_PASSWORD: 'd',
      SURREAL_ENDPOINT: 'wss://e',
      SURREAL_USERNAME: 'f',
      SURREAL_PASSWORD: 'g',
    }
    const target = { toNamespace: 'n', toDatabase: 'd' }
    expect(settle('sync', target, env)).toMatchObject({
      source: { url: 'postgres://localhost/a', database: 'b', user: 'c', password: 'd' },
      sink: { url: 'wss://e', username: 'f', password: 'g' },
      id: expect.stringMatching(/^b_n_d_/),
    })
    const flagged = settle(
      'sync',
      { ...flags, sourceDatabase: 'x', surrealEndpoint: 'ws://y', surrealPassword: '' },
      env,
    )
    expect(flagged).toMatchObject({ source: { url: sourceUri, database: 'x' }, sink: { url: 'ws://y', password: '' } })
    expect(settle('sync', flags, { SURREAL_ENDPOINT: '', SOURCE_DATABASE: '' })).toMatchObject({
      sink: { url: 'http://localhost:8000' },
      id: expect.stringMatching(/^myapp_/),
    })
  })

  it('sign in to an embedded database only when told to', () => {
    const sink = (given: Flags) => settle('sync', { ...flags, surrealEndpoint: 'surrealkv://data', ...given }, {}).sink
    expect(sink({})).toMatchObject({ username: undefined, password: undefined })
    expect(sink({ surrealUsername: 'a', surrealPassword: 'b' })).toMatchObject({ username: 'a', password: 'b' })
  })

  it('take the database from the URI in each of its forms', () => {
    const id = (uri: string) => settle('sync', { ...flags, sourceUri: uri }, {}).id
    expect(id('postgresql:///shop?host=/tmp')).toMatch(/^shop_/)
    expect(id('postgresql://localhost/?dbname=blog')).toMatch(/^blog_/)
    expect(id('postgresql://jo@localhost')).toMatch(/^jo_/)
    expect(id('postgresql://localhost/a%20b')).toMatch(/^a_b_/)
    expect(id('postgresql://localhost')).toMatch(/^_production_/)
  })

  it('split lists at commas outside of quotes', () => {
    const { source } = settle('sync', { ...flags, tables: 'users, shop.orders,,"a,b"', schemas: 'public' }, {})
    expect(source).toMatchObject({ tables: ['users', 'shop.orders', '"a,b"'], schemas: ['public'] })
  })

  it('carry the flags of an incremental sync', () => {
    const given = {
      ...flags,
      incrementalFrom: 'postgresql:sequence:4',
      incrementalTo: '9',
      replay: true,
      timeout: '1m',
      batchSize: '50',
    }
    expect(settle('incremental', given, {})).toMatchObject({
      incrementalFrom: 'postgresql:sequence:4',
      incrementalTo: '9',
      replay: true,
      timeoutMs: 60_000,
      batchSize: 50,
    })
    expect(settle('sync', { ...flags, quiet: true }, {})).toMatchObject({ logLevel: 'warn', progress: false })
  })

  it.each<[string, 'full' | 'incremental' | 'sync', Flags, string]>([
    ['nothing', 'full', {}, 'Missing --source-uri, --to-namespace, --to-database'],
    ['an empty name', 'full', { ...flags, toDatabase: '' }, 'Missing --to-database'],
    ['no position', 'incremental', flags, 'Missing --incremental-from'],
    ['an empty position', 'incremental', { ...flags, incrementalFrom: '' }, '--incremental-from contains no position'],
    [
      'what jq prints',
      'incremental',
      { ...flags, incrementalFrom: 'postgresql:sequence:null' },
      'contains no position',
    ],
    ['half a position', 'incremental', { ...flags, incrementalFrom: 'postgresql:sequence:' }, 'contains no position'],
    [
      'another scheme',
      'full',
      { ...flags, sourceUri: 'mysql://me:canary-7f3a@h/d' },
      'does not begin with postgresql://',
    ],
    ['no URI', 'full', { ...flags, sourceUri: 'canary-7f3a' }, 'The source URI cannot be parsed'],
    ['a broken escape', 'full', { ...flags, sourceUri: 'postgresql://h/%zz' }, 'hexadecimal'],
    ['a wrong duration', 'sync', { ...flags, timeout: 'soon' }, '--timeout is not a duration'],
    ['a wrong id', 'sync', { ...flags, id: 'a b' }, '--id must be'],
    [
      'a wrong batch size',
      'sync',
      { ...flags, batchSize: '0' },
      '--batch-size must be a whole number from 1 to 100000',
    ],
    ['a fraction', 'sync', { ...flags, batchSize: '1.5' }, '--batch-size must be'],
    ['an empty list', 'sync', { ...flags, tables: ' ,' }, '--tables names nothing'],
    ['an unknown choice', 'sync', { ...flags, existing: 'drop' }, '--existing must be one of refuse, replace, keep'],
    ['a wrong endpoint', 'sync', { ...flags, surrealEndpoint: 'localhost' }, 'The SurrealDB endpoint'],
  ])('refuse %s', (_, command, given, message) => {
    const error = refusal(command, given)
    expect(error).toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining(message) })
    expect(JSON.stringify(error) + String(error)).not.toContain('canary')
  })
})
