/** The address of SurrealDB on the command line. */
import { SyncError } from '../index.js'

const schemes = ['ws:', 'wss:', 'http:', 'https:', 'mem:', 'surrealkv:', 'rocksdb:']
const network = ['ws:', 'wss:', 'http:', 'https:']

/** Checks the address, without connecting. Never repeats it in a message. @throws SyncError `E_CONFIG` */
export function parseEndpoint(text: string): string {
  const endpoint = text.trim()
  const scheme = /^[a-z][a-z0-9+.-]*:(?=\/\/)/i.exec(endpoint)?.[0].toLowerCase()
  if (scheme === undefined || !schemes.includes(scheme)) {
    throw invalid('does not begin with ws://, wss://, http://, https://, surrealkv://, rocksdb:// or mem://')
  }
  if (!network.includes(scheme)) return endpoint
  let url: URL
  try {
    url = new URL(endpoint)
  } catch {
    throw invalid('cannot be parsed')
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      'contains a user name or a password',
      'Use --surreal-username and --surreal-password, or their variables.',
    )
  }
  return endpoint
}

/** Whether a database runs at this address, rather than inside of this process. Only a server has users from the start. */
export function isServer(endpoint: string): boolean {
  return network.some((scheme) => endpoint.toLowerCase().startsWith(scheme))
}

function invalid(what: string, hint = 'Write it like ws://localhost:8000.'): SyncError {
  return new SyncError('E_CONFIG', `The SurrealDB endpoint ${what}`, { hint })
}
