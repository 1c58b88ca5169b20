/** A SurrealDB server as far as the SDK can tell: RPC over WebSocket and HTTP in front of the embedded engine. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Uuid } from 'surrealdb'
import { type WebSocket, WebSocketServer } from 'ws'
import type { StruckFault, SurrealFaults } from './surreal-faults.js'
import type { SurrealRpc } from './surreal-rpc.js'

/** The limits and the ping of the real server, 3.x. */
const limits = { webSocketBytesMax: 128 * 1024 * 1024, httpBytesMax: 4 * 1024 * 1024, pingMs: 5_000 }
const version = 'surrealdb-3.0.2'

/** Serves one {@link SurrealRpc} on 127.0.0.1. */
export class SurrealRpcServer {
  readonly #rpc: SurrealRpc
  readonly #faults: SurrealFaults
  readonly #http = createServer((request, response) => {
    this.#serve(request, response).catch((error: Error) => response.destroy(error))
  })
  readonly #webSockets = new WebSocketServer({
    server: this.#http,
    path: '/rpc',
    maxPayload: limits.webSocketBytesMax,
    autoPong: false,
    handleProtocols: (offered) => (offered.has('cbor') ? 'cbor' : false),
  })
  readonly #sockets = new Set<Socket>()

  constructor(rpc: SurrealRpc, faults: SurrealFaults) {
    this.#rpc = rpc
    this.#faults = faults
    this.#http.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#webSockets.on('error', () => {}) // the http server's, which listen() reports
    this.#webSockets.on('connection', (socket) => {
      this.#attend(socket).catch(() => socket.terminate())
    })
  }

  /** Listens on a port, 0 for any that is free; returns the port. */
  async listen(port: number): Promise<number> {
    this.#http.listen(port, '127.0.0.1')
    await once(this.#http, 'listening')
    const address = this.#http.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  /** Destroys every connection. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Ends every connection and listens no more. */
  close(): void {
    this.#http.close()
    this.cutAll()
  }

  /** A WebSocket connection: one session, which ends with it; requests are executed as they come. */
  async #attend(socket: WebSocket): Promise<void> {
    const session = this.#rpc.attach()
    socket.on('error', () => {}) // a close follows; ws itself refuses messages over the limit
    socket.on('ping', async (data) => {
      await this.#faults.clear()
      if (socket.readyState === socket.OPEN) socket.pong(data)
    })
    socket.on('message', (data) => {
      if (!(data instanceof Buffer)) return
      const answer = session.then((own) => this.#answer(data, own, () => socket.terminate()))
      answer.then(
        (bytes) => bytes !== undefined && socket.readyState === socket.OPEN && socket.send(bytes),
        () => socket.terminate(),
      )
    })
    const closed = new AbortController()
    socket.once('close', () => closed.abort())
    await this.#ping(socket, closed.signal)
    await this.#rpc.detach(await session)
  }

  async #ping(socket: WebSocket, closed: AbortSignal): Promise<void> {
    while (!closed.aborted) {
      await delay(limits.pingMs, undefined, { signal: closed }).catch(() => {})
      if (socket.readyState === socket.OPEN && !this.#faults.paused) socket.ping()
    }
  }

  /** Returns the response to send, or `undefined` when a fault has swallowed it. */
  async #answer(bytes: Uint8Array, session: Uuid, cut: () => void): Promise<Uint8Array | undefined> {
    await this.#faults.clear()
    const queryText = this.#rpc.queryText(bytes)
    const fault = queryText === undefined ? undefined : this.#faults.strike(queryText)
    if (fault?.action === 'expire') {
      fault.triggered()
      return this.#rpc.expire(bytes, session)
    }
    if (fault?.action === 'timeout') {
      fault.triggered()
      return this.#rpc.timeOut(bytes)
    }
    if (fault?.when === 'before') return disturb(fault, cut)
    const response = await this.#rpc.respond(bytes, session)
    if (fault !== undefined) return disturb(fault, cut)
    await this.#faults.clear()
    return response
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.#faults.clear()
    if (request.method === 'GET' && request.url === '/version') return end(response, 200, version)
    if (request.method === 'GET' && ['/health', '/status'].includes(request.url ?? '')) return end(response, 200, '')
    if (request.method !== 'POST' || request.url !== '/rpc') return end(response, 404, 'Not found')
    const body = await readBody(request)
    if (body === undefined) return end(response, 413, 'Payload too large')
    const session = await this.#rpc.attach()
    try {
      await this.#rpc.use(session, header(request, 'surreal-ns'), header(request, 'surreal-db'))
      if (!(await this.#signIn(session, request.headers.authorization))) {
        return end(response, 401, 'There was a problem with authentication')
      }
      const answer = await this.#answer(body, session, () => response.destroy())
      if (answer !== undefined) end(response, 200, answer)
    } finally {
      await this.#rpc.detach(session)
    }
  }

  /** Returns `false` for credentials that are wrong; a request without any stays anonymous. */
  async #signIn(session: Uuid, authorization = ''): Promise<boolean> {
    const [scheme = '', credentials = ''] = authorization.split(' ')
    if (scheme === '') return true
    if (scheme.toLowerCase() === 'bearer') return this.#rpc.signIn(session, 'authenticate', credentials)
    const [user, ...rest] = Buffer.from(credentials, 'base64').toString().split(':')
    return this.#rpc.signIn(session, 'signin', { user, pass: rest.join(':') })
  }
}

/** Does what the fault says; there is nothing to answer after it. */
function disturb(fault: StruckFault, cut: () => void): undefined {
  if (fault.action === 'cut') cut()
  fault.triggered()
}

function end(response: ServerResponse, status: number, body: string | Uint8Array): void {
  response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/cbor' })
  response.end(body)
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Reads the body; `undefined` when it is over the limit, the rest of it then being thrown away. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= limits.httpBytesMax) chunks.push(chunk)
  }
  return bytes <= limits.httpBytesMax ? Buffer.concat(chunks) : undefined
}
