/** Where the database is: what the URL says, checked before anything is opened. */
import { SyncError } from '../../core/errors.js'

const remoteProtocols = ['ws:', 'wss:', 'http:', 'https:'] as const
const embeddedProtocols = ['mem:', 'surrealkv:', 'surrealkv+versioned:', 'rocksdb:'] as const

export interface Address {
  readonly protocol: (typeof remoteProtocols)[number] | (typeof embeddedProtocols)[number]
  /** The URL as given. */
  readonly url: string
  /** For messages. */
  readonly label: string
  readonly embedded: boolean
}

/** @throws SyncError `E_CONFIG`, never quoting the URL: it may contain a password in the wrong place. */
export function parseAddress(url: string): Address {
  const scheme = /^([a-z+]+:)\/\//i.exec(url)?.[1]?.toLowerCase()
  const embedded = embeddedProtocols.find((protocol) => protocol === scheme)
  if (embedded !== undefined) {
    if (embedded !== 'mem:' && url.length === embedded.length + 2) {
      throw new SyncError('E_CONFIG', `The SurrealDB URL ${url} lacks a path`)
    }
    return { protocol: embedded, url, label: url.split('?')[0] ?? url, embedded: true }
  }
  const remote = remoteProtocols.find((protocol) => protocol === scheme)
  if (remote === undefined) {
    throw new SyncError('E_CONFIG', 'The SurrealDB URL has an unknown scheme', {
      hint: `Use one of ${[...remoteProtocols, ...embeddedProtocols].map((protocol) => `${protocol}//`).join(' ')}`,
    })
  }
  if (!URL.canParse(url)) throw new SyncError('E_CONFIG', 'The SurrealDB URL cannot be read')
  const parsed = new URL(url)
  if (parsed.username !== '' || parsed.password !== '') {
    throw new SyncError('E_CONFIG', 'The SurrealDB URL contains credentials', {
      hint: 'Pass them as `username` and `password`.',
    })
  }
  return { protocol: remote, url, label: `${remote}//${parsed.host}`, embedded: false }
}
