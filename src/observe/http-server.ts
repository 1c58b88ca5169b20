/** The HTTP server of an observation. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { isIP } from 'node:net'
import { SyncError } from '../core/errors.js'
import type { RequestHandler } from './request-handler.js'

/** Where a server of one's own listens. */
export interface ListenOptions {
  /** Where to listen; another than the loopback lets others in, without any password. @defaultValue `127.0.0.1` */
  readonly host?: string
  /** 0 is any free one. @defaultValue 9400 */
  readonly port?: number
}

export interface Listening {
  readonly url: string
  close(): Promise<void>
}

const defaults = { host: '127.0.0.1', port: 9_400 }
const connectionsMax = 64

/** @throws SyncError `E_CONFIG` */
export async function listen(
  { host = defaults.host, port = defaults.port }: ListenOptions,
  handlerFor: (loopback: boolean) => RequestHandler,
): Promise<Listening> {
  const server = createServer(handlerFor(isLoopback(host)))
  server.maxConnections = connectionsMax
  const text = `${isIP(host) === 6 ? `[${host}]` : host}`
  try {
    server.listen({ host, port })
    await once(server, 'listening')
  } catch (error) {
    throw new SyncError('E_CONFIG', `Nothing can listen at ${text}:${port}${reasonOf(error)}`, {
      hint: 'Choose another address or port with `http`.',
      cause: error,
    })
  }
  // Whoever cannot be answered, for want of file descriptors for example, must not end the run.
  server.on('error', () => {})
  // Serving must not keep a process alive that has nothing else to do.
  server.unref()
  const address = server.address()
  const chosen = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: `http://${text}:${chosen}/`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return ': something else does already'
  if (code === 'EACCES') return ': this process may not'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return ': it is no address of this machine'
  return ''
}
