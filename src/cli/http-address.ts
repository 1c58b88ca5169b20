/** Where `--http` listens. */
import { SyncError } from '../index.js'

export interface HttpAddress {
  readonly host: string
  readonly port: number
}

const loopback = '127.0.0.1'
const portMax = 65_535
const form = /^(?:(?<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):)?(?<port>\d{1,5})$/

/** `9400`, `127.0.0.1:9400`, `[::1]:9400`, `0.0.0.0:9400`. @throws SyncError `E_CONFIG` */
export function parseHttpAddress(text: string): HttpAddress {
  const { host = loopback, port = '' } = form.exec(text.trim())?.groups ?? {}
  if (port !== '' && Number(port) <= portMax) return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
  throw new SyncError('E_CONFIG', '--http must be a port, or a host and a port', {
    hint: 'Write 9400 for this machine alone, or 0.0.0.0:9400 for whoever reaches it.',
  })
}
