/** Config files: how they are found, read, checked, and what overrides them. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { configNames, loadConfig } from '../../src/cli/config-file.js'
import { configProperties, publishedSchema } from '../../src/cli/config-schema.js'
import { type Flags, settle } from '../../src/cli/settings.js'
import type { SyncConfig } from '../../src/index.js'

const canary = 'canary-7f3a'
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'surreal-sync-config-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const write = (name: string, text: string) => writeFile(join(folder, name), text)
const load = (env = {}, named?: string | boolean) => loadConfig(named, folder, env)

async function settled(flags: Flags, env: Record<string, string>, config: SyncConfig) {
  const minimal: SyncConfig = { sourceUri: 'postgresql://u@h/d', toNamespace: 'n', toDatabase: 'd' }
  return settle('full', flags, env, { ...minimal, ...config })
}

describe('a config file', () => {
  const typed = `import { defineConfig, type SyncConfig } from 'surreal-sync'
    const id: string = await Promise.resolve('pipe')
    export default defineConfig({ id, tables: { users: { where: 'active' } } } satisfies SyncConfig)`
  const plain = `import { defineConfig } from 'surreal-sync'
    export default defineConfig({ id: 'pipe', tables: { users: { where: 'active' } } })`
  const texts: Record<string, string> = {
    ts: typed,
    mts: typed,
    js: plain,
    mjs: plain,
    cjs: `const { defineConfig } = require('surreal-sync')
      module.exports = defineConfig({ id: 'pipe', tables: { users: { where: 'active' } } })`,
    json: '{ "id": "pipe", "tables": { "users": { "where": "active" } } }',
    yaml: 'id: pipe\ntables:\n  users:\n    where: active\n',
    yml: 'id: pipe\ntables: { users: { where: active } }\n',
  }

  it.each(configNames)('is found and read: %s', async (name) => {
    await write(name, texts[name.split('.').at(-1) ?? ''] ?? '')
    expect(await load()).toEqual({ path: name, config: { id: 'pipe', tables: { users: { where: 'active' } } } })
    expect(await load({}, false)).toBeUndefined()
  })

  it('is named, or not there', async () => {
    expect(await load()).toBeUndefined()
    await write('other.yaml', 'id: other')
    expect(await load()).toBeUndefined()
    expect((await load({}, 'other.yaml'))?.config).toEqual({ id: 'other' })
    await expect(load({}, 'missing.yaml')).rejects.toThrow('The config file missing.yaml cannot be read')
    await write('other.toml', 'id = 1')
    await expect(load({}, 'other.toml')).rejects.toThrow('The config file other.toml is of no known kind')
  })

  it.each([
    ['a.json', `{ "sourcePassword": "${canary}",\n }`, /^The config file a\.json is not valid JSON/],
    ['a.yaml', `id: x\nsourcePassword: "${canary}`, /^The config file a\.yaml is not valid YAML at line 2 \(\w+\)$/],
    [
      'a.ts',
      `const password = '${canary}'\nexport default {{`,
      /^The config file a\.ts cannot be run \(\w+( at line \d+)?\)$/,
    ],
    ['a.mjs', `throw new TypeError('${canary}')`, /^The config file a\.mjs cannot be run \(TypeError\)$/],
  ])('that is broken is refused without its content: %s', async (name, text, message) => {
    await write(name, text)
    const error: unknown = await load({}, name).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'E_CONFIG', message: expect.stringMatching(message) })
    expect(String(error)).not.toContain(canary)
  })
})

describe('variables', () => {
  const at = (name: string) => ['$', name].join('{').concat('}')

  it('stand in every text, and are not looked for in what they hold', async () => {
    const text = [
      `sourceUri: "postgresql://me:${at('PASSWORD')}@${at('HOST')}/d"`,
      `tables: ["${at('TABLE')}"]`,
      `id: "$${at('HOST')}"`,
    ]
    await write('c.yaml', text.join('\n'))
    const env = { PASSWORD: `${at('HOST')}$&`, HOST: 'h', TABLE: 't' }
    const { config } = (await load(env, 'c.yaml')) ?? {}
    expect(config).toEqual({ sourceUri: `postgresql://me:${at('HOST')}$&@h/d`, tables: ['t'], id: at('HOST') })
  })

  it('that are missing are named with their key', async () => {
    await write('c.yaml', `tables:\n  shop.users:\n    mask: { email: "${at('HOW')}" }`)
    await expect(load({}, 'c.yaml')).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: 'c.yaml: tables["shop.users"].mask.email: the environment variable HOW is not set',
    })
  })
})

describe('what is wrong', () => {
  const cases: readonly (readonly [config: unknown, message: string, hint?: string])[] = [
    [{ tabels: [] }, 'tabels: there is no such key', 'Did you mean tables?'],
    [{ sourceuri: 'x' }, 'sourceuri: there is no such key', 'Did you mean sourceUri?'],
    [{ zzz: 1 }, 'zzz: there is no such key', 'There are $schema, sourceUri'],
    [{ tables: { users: { masks: {} } } }, 'tables.users.masks: there is no such key', 'Did you mean mask?'],
    [
      { tables: { users: { mask: { email: 'hsah' } } } },
      'tables.users.mask.email: must be hash or null or an object with truncate or a function, in a file with code',
    ],
    [
      { tables: { users: { mask: { email: { truncate: '3' } } } } },
      'tables.users.mask.email.truncate: must be a whole number from 0 to 2147483647',
    ],
    [{ tables: { users: { mask: { email: {} } } } }, 'tables.users.mask.email.truncate: is missing'],
    [{ tables: { users: { deletes: { soft: '' } } } }, 'tables.users.deletes.soft: must be text'],
    [{ tables: { users: { where: true } } }, 'tables.users.where: must be text'],
    [{ tables: {} }, 'tables: is empty'],
    [{ tables: ['a', 3] }, 'tables[1]: must be text'],
    [{ tables: 'users' }, 'tables: must be a list or an object'],
    [{ batchSize: '100' }, 'batchSize: must be a whole number from 1 to 100000'],
    [{ existing: canary }, 'existing: must be refuse or replace or keep'],
    [{ maskSecret: canary }, 'maskSecret: must be text of at least 16 characters'],
    [{ sourcePassword: 12345 }, 'sourcePassword: must be text'],
    [
      { values: { columns: { 'a.b': { interval: 'x' } } } },
      'values.columns["a.b"].interval: must be duration or string or object',
    ],
    [{ transforms: 'x' }, 'transforms: must be a function, in a file with code'],
    [['tables'], 'must be an object'],
  ]
  it.each(cases.map(([config, message, hint]) => ({ config, message, hint })))(
    'points at the key: $message',
    async ({ config, message, hint }) => {
      await write('c.json', JSON.stringify(config))
      const error: unknown = await load({}, 'c.json').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'E_CONFIG', message: `c.json: ${message}` })
      if (hint !== undefined) expect(error).toMatchObject({ details: { hint: expect.stringContaining(hint) } })
      expect(JSON.stringify(error) + String(error)).not.toContain(canary)
    },
  )

  it('is not code where code is meant', async () => {
    await write(
      'c.mjs',
      `export default {
        transforms: [(rows) => rows], transformConcurrency: 2,
        tables: { users: { transform: (rows) => rows, compute: { a: (row) => row.b }, mask: { c: () => 'x' } } },
      }`,
    )
    const { config } = (await load({}, 'c.mjs')) ?? {}
    const settings = await settled({}, {}, config ?? {})
    expect(settings).toMatchObject({ transforms: [expect.any(Function)], transformConcurrency: 2 })
    const compute = settings.source.shaping?.users?.compute?.a
    expect(typeof compute === 'function' && compute({ b: 3 }, {} as never)).toBe(3)
  })
})

describe('flags override the environment, which overrides the file', () => {
  it('for what has a variable', async () => {
    const config = { sourcePassword: 'file', surrealUsername: 'file', maskSecret: 'of the file, long' }
    expect((await settled({}, {}, config)).source).toMatchObject({ password: 'file', maskSecret: 'of the file, long' })
    const env = { SOURCE_PASSWORD: 'env', SURREAL_USERNAME: '', MASK_SECRET: 'of the env, also long' }
    expect(await settled({}, env, config)).toMatchObject({
      source: { password: 'env', maskSecret: 'of the env, also long' },
      sink: { username: 'file' },
    })
    expect((await settled({ sourcePassword: 'flag' }, env, config)).source.password).toBe('flag')
  })

  it('for what has none', async () => {
    const config: SyncConfig = {
      batchSize: 5,
      concurrency: 3,
      schemas: ['a,b', 'c'],
      keyless: 'copy',
      existing: 'keep',
      values: { interval: 'string' },
      emitCheckpoints: true,
      checkpointDir: 'here',
      id: 'pipe',
      logFormat: 'json',
      quiet: true,
    }
    expect(await settled({}, {}, config)).toMatchObject({
      batchSize: 5,
      concurrency: 3,
      source: { schemas: ['a,b', 'c'], keyless: 'copy' },
      sink: { existing: 'keep', values: { interval: 'string' } },
      checkpointDir: 'here',
      id: 'pipe',
      logFormat: 'json',
      logLevel: 'warn',
    })
    const flags: Flags = {
      batchSize: '6',
      schemas: 'x',
      existing: 'replace',
      value: ['date=string'],
      logLevel: 'debug',
    }
    expect(await settled(flags, {}, config)).toMatchObject({
      batchSize: 6,
      source: { schemas: ['x'] },
      sink: { existing: 'replace', values: { date: 'string' } },
      logLevel: 'debug',
    })
    expect((await settled({ quiet: true }, {}, { logLevel: 'debug' })).logLevel).toBe('warn')
  })

  it('for tables: other tables keep their shapes', async () => {
    const tables = { users: { mask: { email: null } }, 'shop.*': {} }
    expect((await settled({}, {}, { tables })).source).toMatchObject({ tables: ['users', 'shop.*'], shaping: tables })
    expect((await settled({ tables: 'orders' }, {}, { tables })).source).toMatchObject({
      tables: ['orders'],
      shaping: tables,
    })
    expect((await settled({}, {}, { tables: ['a', 'b'] })).source).toMatchObject({
      tables: ['a', 'b'],
      shaping: undefined,
    })
    const { shaping } = (await settled({ deletes: 'soft' }, {}, { tables, deletes: 'ignore' })).source
    expect(Object.entries(shaping ?? {})).toEqual([['**', { deletes: 'soft' }], ...Object.entries(tables)])
  })
})

describe('the schema', () => {
  it('has the keys of the type', () => {
    expectTypeOf<keyof typeof configProperties>().toEqualTypeOf<keyof SyncConfig>()
    type Shape = NonNullable<Exclude<SyncConfig['tables'], readonly string[] | undefined>>[string]
    const shape: Record<keyof Shape, true> = {
      as: true,
      columns: true,
      excludeColumns: true,
      where: true,
      rename: true,
      mask: true,
      compute: true,
      transform: true,
      deletes: true,
    }
    const [, map] = configProperties.tables.anyOf
    expect(Object.keys(map.additionalProperties.properties ?? {}).sort()).toEqual(Object.keys(shape).sort())
  })

  it('is published as it is: `npm run schema` writes it', async () => {
    const path = fileURLToPath(new URL('../../config.schema.json', import.meta.url))
    const published: unknown = JSON.parse(await readFile(path, 'utf8'))
    expect(published).toEqual(publishedSchema())
    expect(JSON.stringify(published)).not.toMatch(/"code"|"transforms"|"transform"/)
  })
})
