/** How connections to a SurrealDB server are encrypted. */
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { buffer } from 'node:stream/consumers'
import { type ConnectionOptions, createSecureContext } from 'node:tls'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { isNearHost } from '../../core/near-host.js'
import type { Address } from './address.js'

/** TLS to SurrealDB, for `wss://` and `https://`. */
export interface SurrealTlsOptions {
  /** The certificate of the authority: PEM, or the path of a file. @defaultValue those that Node.js trusts */
  readonly ca?: string
  /** False: any certificate will do, so anybody may answer. @defaultValue true */
  readonly verify?: boolean
}

/** What is handed to sockets. Undefined: what Node.js does by itself. */
export type TlsSettings = Pick<ConnectionOptions, 'secureContext' | 'rejectUnauthorized'> | undefined

/** @throws SyncError `E_CONFIG` */
export function tlsSettings({ protocol }: Address, { ca, verify = true }: SurrealTlsOptions = {}): TlsSettings {
  if (protocol !== 'wss:' && protocol !== 'https:') {
    if (ca === undefined && verify) return undefined
    throw new SyncError('E_CONFIG', 'An authority for SurrealDB needs an encrypted connection', {
      hint: 'Use an address that begins with wss:// or https://.',
    })
  }
  if (verify) return ca === undefined ? undefined : { secureContext: secureContext(ca) }
  return { rejectUnauthorized: false }
}

/** What an operator should know of an address: that others may read along, or answer. */
export function tlsWarning({ protocol, url, label }: Address, { verify = true }: SurrealTlsOptions = {}) {
  if (!/^(ws|http)s?:$/.test(protocol) || isNearHost(new URL(url).hostname)) return undefined
  const warning = (code: string, message: string): SyncWarning => ({ code, message })
  if (protocol === 'ws:' || protocol === 'http:') {
    const better = protocol === 'ws:' ? 'wss://' : 'https://'
    return warning('plaintext', `The connection to SurrealDB at ${label} is not encrypted: use ${better}`)
  }
  return verify ? undefined : warning('tls_unverified', `Nothing proves that it is SurrealDB at ${label} that answers`)
}

/** `fetch` for `https://`, where the one of Node.js takes no authority. Follows no redirect. */
export function fetchWith(tls: NonNullable<TlsSettings>): typeof fetch {
  return async (input, init = {}) => {
    const given = new Request(input, init)
    const body = Buffer.from(await given.arrayBuffer())
    const headers = { ...Object.fromEntries(given.headers), 'content-length': String(body.length) }
    return new Promise((resolve, reject) => {
      const { method, signal, url } = given
      const sent = request(url, { ...tls, method, headers, signal, agent: false }, (response) => {
        const { statusCode: status = 0, statusMessage: statusText } = response
        buffer(response).then((bytes) => resolve(new Response(bytes, { status, statusText })), reject)
      })
      sent.once('error', reject)
      sent.end(body)
    })
  }
}

function secureContext(ca: string) {
  try {
    return createSecureContext({ ca: ca.includes('-----BEGIN') ? ca : readFileSync(ca, 'utf8') })
  } catch (cause) {
    throw new SyncError('E_CONFIG', 'The authority for SurrealDB cannot be read', {
      hint: 'Name a file with a certificate in PEM.',
      cause,
    })
  }
}
