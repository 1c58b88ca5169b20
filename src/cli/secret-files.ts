/** Variables that name files with secrets, as containers get them. */
import { readFileSync } from 'node:fs'
import { SyncError } from '../index.js'

type Environment = { readonly [name: string]: string | undefined }

const names = ['SOURCE_URI', 'SOURCE_PASSWORD', 'SURREAL_PASSWORD', 'SURREAL_TOKEN', 'MASK_SECRET']

/**
 * The environment with the contents of those files in place of their names: `SOURCE_PASSWORD_FILE` gives `SOURCE_PASSWORD`,
 * without the line break at its end. @throws SyncError `E_CONFIG`
 */
export function withSecretFiles(environment: Environment): Environment {
  const contents = names.flatMap((name) => {
    const path = environment[`${name}_FILE`]
    if (!path) return []
    if (environment[name]) {
      throw new SyncError('E_CONFIG', `Both ${name} and ${name}_FILE are set`, { hint: 'Leave one of them out.' })
    }
    return [[name, contentOf(name, path)] as const]
  })
  return { ...environment, ...Object.fromEntries(contents) }
}

function contentOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new SyncError('E_CONFIG', `The file that ${name}_FILE names cannot be read`, {
      hint: 'Check the path and the rights.',
      cause,
    })
  }
}
