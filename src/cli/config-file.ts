/** Finds, reads and checks the config file. */
import { access, readFile } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import * as library from '../index.js'
import { type SyncConfig, SyncError } from '../index.js'
import { checkConfig, keyText } from './config-check.js'
import { configSchema } from './config-schema.js'

export interface ConfigFile {
  readonly path: string
  readonly config: SyncConfig
}

/** In this order: the first that is there counts. */
export const configNames = ['ts', 'mts', 'js', 'mjs', 'cjs', 'json', 'yaml', 'yml'].map(
  (extension) => `surreal-sync.config.${extension}`,
)

type Environment = { readonly [name: string]: string | undefined }

/**
 * Reads the file that was named, or the one in this folder, if there is one.
 * @param named What `--config` says; false after `--no-config`.
 * @throws SyncError `E_CONFIG`
 */
export async function loadConfig(
  named: string | boolean | undefined,
  folder: string,
  env: Environment,
): Promise<ConfigFile | undefined> {
  if (named === false) return undefined
  const path = typeof named === 'string' ? resolve(folder, named) : await findIn(folder)
  if (path === undefined) return undefined
  const shown = typeof named === 'string' ? named : path.slice(folder.length + 1)
  const found = withVariables(await read(path, shown), env, shown, [])
  checkConfig(found, configSchema, shown)
  // It has been compared with the schema.
  return { path: shown, config: found as SyncConfig }
}

async function findIn(folder: string): Promise<string | undefined> {
  for (const name of configNames) {
    const path = join(folder, name)
    const there = await access(path).then(
      () => true,
      () => false,
    )
    if (there) return path
  }
  return undefined
}

async function read(path: string, shown: string): Promise<unknown> {
  const extension = extname(path)
  if (/^\.[cm]?[jt]s$/.test(extension)) return readCode(path, shown)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new SyncError('E_CONFIG', `The config file ${shown} cannot be read`, { hint: 'Check the path.', cause })
  }
  if (extension === '.json') return readJson(text, shown)
  if (extension === '.yaml' || extension === '.yml') return readYaml(text, shown)
  throw new SyncError('E_CONFIG', `The config file ${shown} is of no known kind`, {
    hint: 'Its name must end in .ts, .mts, .js, .mjs, .cjs, .json, .yaml or .yml.',
  })
}

/** By way of jiti also TypeScript on every Node.js, and `import … from 'surreal-sync'` wherever this is installed. */
async function readCode(path: string, shown: string): Promise<unknown> {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(path, { fsCache: false, moduleCache: false, virtualModules: { 'surreal-sync': library } })
  try {
    return await jiti.import(path, { default: true })
  } catch (cause) {
    if (cause instanceof SyncError) throw cause
    const name = cause instanceof Error ? cause.name : typeof cause
    // Its message may quote the file.
    throw new SyncError('E_CONFIG', `The config file ${shown} cannot be run (${name}${placeIn(cause)})`, {
      hint: 'See what it says by itself: run it with Node.js or check it with tsc.',
      cause,
    })
  }
}

function readJson(text: string, shown: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const position = /position (\d+)/.exec(cause instanceof Error ? cause.message : '')?.[1]
    const lines = text.slice(0, Number(position)).split('\n')
    const place = position === undefined ? '' : ` at line ${lines.length}`
    throw new SyncError('E_CONFIG', `The config file ${shown} is not valid JSON${place}`, { cause })
  }
}

async function readYaml(text: string, shown: string): Promise<unknown> {
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { prettyErrors: false })
  const [error] = document.errors
  if (error === undefined) return document.toJS()
  const line = text.slice(0, error.pos[0]).split('\n').length
  throw new SyncError('E_CONFIG', `The config file ${shown} is not valid YAML at line ${line} (${error.code})`)
}

/** `(3:7)`, as compilers write it. */
function placeIn(error: unknown): string {
  const place = error instanceof Error ? /\((\d+):\d+\)/.exec(error.message)?.[1] : undefined
  return place === undefined ? '' : ` at line ${place}`
}

const variable = /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** The value with variables in place of their names, in every text of it. */
function withVariables(value: unknown, env: Environment, file: string, path: readonly string[]): unknown {
  if (typeof value === 'string') {
    return value.replace(variable, (whole, dollar: string, name: string) => {
      if (dollar !== '') return whole.slice(1)
      const content = env[name]
      if (content !== undefined) return content
      throw new SyncError('E_CONFIG', `${file}: ${keyText(path)}: the environment variable ${name} is not set`, {
        hint: `Set it, or write $\${${name}} for the text itself.`,
      })
    })
  }
  if (Array.isArray(value)) return value.map((one, index) => withVariables(one, env, file, [...path, String(index)]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, withVariables(one, env, file, [...path, key])]),
  )
}
