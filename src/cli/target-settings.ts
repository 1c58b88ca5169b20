/** Where in SurrealDB rows go, and who signs in there. */
import type { AuthLevel, SurrealTlsOptions } from '../index.js'
import { SyncError } from '../index.js'
import type { Layers } from './config-settings.js'
import { isServer, parseEndpoint } from './endpoint.js'

export const authLevels = ['root', 'namespace', 'database'] as const satisfies readonly AuthLevel[]

export const targetDefaults = { endpoint: 'http://localhost:8000', username: 'root', password: 'root' } as const

export interface TargetSettings {
  readonly url: string
  readonly username?: string
  readonly password?: string
  readonly token?: string
  readonly authLevel?: AuthLevel
  readonly tls?: SurrealTlsOptions
}

/** @throws SyncError `E_CONFIG` */
export function targetOf({ flags, env }: Layers): TargetSettings {
  const variable = (name: string) => (env[name] === '' ? undefined : env[name])
  const url = parseEndpoint(flags.surrealEndpoint ?? variable('SURREAL_ENDPOINT') ?? targetDefaults.endpoint)
  const ca = flags.surrealCaFile ?? variable('SURREAL_CA_FILE')
  const insecure = flags.surrealInsecure === true
  const tls = ca === undefined && !insecure ? undefined : { ca, verify: !insecure }
  const authLevel = authLevels.find((level) => level === (flags.surrealAuthLevel ?? variable('SURREAL_AUTH_LEVEL')))
  const given = {
    username: flags.surrealUsername ?? variable('SURREAL_USERNAME'),
    password: flags.surrealPassword ?? variable('SURREAL_PASSWORD'),
  }
  const token = flags.surrealToken ?? variable('SURREAL_TOKEN')
  if (token !== undefined) {
    if (given.username === undefined && given.password === undefined) return { url, token, tls }
    throw new SyncError('E_CONFIG', 'There are both a token and a user name or password for SurrealDB', {
      hint: 'Use --surreal-token, or --surreal-username and --surreal-password, or their variables.',
    })
  }
  const normal = isServer(url) ? targetDefaults : undefined
  return {
    url,
    username: given.username ?? normal?.username,
    password: given.password ?? normal?.password,
    authLevel,
    tls,
  }
}
