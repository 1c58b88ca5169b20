/** Opens the connection of a {@link PostgresCheckpointStore}. Loaded only by those that have a url. */
import { isIP } from 'node:net'
import pg from 'pg'

interface ConnectLimits {
  readonly connectMsMax: number
  readonly queryMsMax: number
}

/** An explicit sslmode is obeyed as libpq does. Without one: verified TLS, and plain text only near by. */
export async function connectPostgres(text: string, limits: ConnectLimits): Promise<pg.Client> {
  const url = new URL(text.replace(/^postgres(ql)?:\/\//i, 'postgresql://'))
  if (url.searchParams.has('sslmode')) {
    url.searchParams.set('uselibpqcompat', 'true')
    return connect({ connectionString: url.href }, limits)
  }
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname)
  const plain = { connectionString: url.href, ssl: false }
  if (host.startsWith('/')) return connect(plain, limits)
  try {
    return await connect({ connectionString: url.href, ssl: { rejectUnauthorized: true } }, limits)
  } catch (error) {
    const offersNone = error instanceof Error && /server does not support SSL/.test(error.message)
    if (offersNone && isNear(host.replace(/^\[|\]$/g, ''))) return connect(plain, limits)
    throw error
  }
}

async function connect(config: pg.ClientConfig, { connectMsMax, queryMsMax }: ConnectLimits): Promise<pg.Client> {
  const client = new pg.Client({
    ...config,
    application_name: 'surreal-sync',
    connectionTimeoutMillis: connectMsMax,
    query_timeout: queryMsMax,
    keepAlive: true,
  })
  try {
    await client.connect()
    return client
  } catch (error) {
    client.on('error', () => {}) // what comes after the first failure says nothing new
    void client.end().catch(() => undefined)
    throw error
  }
}

/** Loopback, single-label and private addresses, where a server without TLS is usual. */
function isNear(host: string): boolean {
  if (isIP(host) === 0) return !host.includes('.')
  if (isIP(host) === 6) return host === '::1' || /^f[cd]/i.test(host)
  return /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.)/.test(host)
}
