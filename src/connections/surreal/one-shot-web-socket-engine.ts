/**
 * One WebSocket connection to SurrealDB, used once. Unlike the SDK's own engine it never reconnects, never sends a request
 * twice, settles every call when the connection ends, and notices a peer that has fallen silent.
 */
import {
  CallTerminatedError,
  type ConnectionState,
  ConnectionUnavailableError,
  type DriverContext,
  type EngineEvents,
  Features,
  type LiveMessage,
  Publisher,
  parseRpcError,
  RpcEngine,
  type RpcRequest,
  type SurrealEngine,
  UnexpectedConnectionError,
  UnexpectedServerResponseError,
  UnsupportedFeatureError,
} from 'surrealdb'
import { type RawData, WebSocket } from 'ws'
import type { TlsSettings } from './tls.js'

/** How often the peer is asked for a sign of life, and how many unanswered rounds are one too many. */
const pingIntervalMs = 5_000
const silentRoundsMax = 5
/** How long a closing handshake may take before the socket is destroyed. */
const closeTimeoutMs = 1_000
const messageBytesMax = 128 * 1024 * 1024

interface Call {
  resolve(result: unknown): void
  reject(error: unknown): void
}

export class OneShotWebSocketEngine extends RpcEngine implements SurrealEngine {
  readonly features: SurrealEngine['features'] = new Set([
    Features.RefreshTokens,
    Features.Sessions,
    Features.Transactions,
  ])
  readonly #tls: TlsSettings
  readonly #publisher = new Publisher<EngineEvents>()
  readonly #calls = new Map<string, Call>()
  #socket: WebSocket | undefined
  #watchdog: NodeJS.Timeout | undefined
  #silentRounds = 0

  subscribe<K extends keyof EngineEvents>(event: K, listener: (...payload: EngineEvents[K]) => void): () => void {
    return this.#publisher.subscribe(event, listener)
  }

  constructor(context: DriverContext, tls: TlsSettings) {
    super(context)
    this.#tls = tls
  }

  open(state: ConnectionState): void {
    this._state = state
    const limits = { perMessageDeflate: false, maxPayload: messageBytesMax }
    const socket = new WebSocket(state.url, 'cbor', { ...limits, ...this.#tls })
    this.#socket = socket
    const alive = () => {
      this.#silentRounds = 0
    }
    let failure: unknown
    socket.on('open', () => {
      this.#watch(socket)
      this.#publisher.publish('connected')
    })
    socket.on('message', (data) => {
      alive()
      this.#receive(data)
    })
    socket.on('ping', alive)
    socket.on('pong', alive)
    socket.on('error', (error) => {
      failure ??= error
    })
    socket.on('close', () => this.#ended(failure))
  }

  async close(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    const timer = setTimeout(() => socket.terminate(), closeTimeoutMs)
    socket.close()
    await closed
    clearTimeout(timer)
  }

  ready(): void {}

  send<Method extends string, Params extends unknown[] | undefined, Result>(
    request: RpcRequest<Method, Params>,
  ): Promise<Result> {
    const socket = this.#socket
    return new Promise<Result>((resolve, reject) => {
      if (socket === undefined || socket.readyState !== WebSocket.OPEN) {
        reject(new ConnectionUnavailableError())
        return
      }
      const id = this._context.uniqueId()
      const message = this._context.codecs.cbor.encode({ id, ...request })
      // The type of an answer is what the SDK's caller says it is.
      this.#calls.set(id, { resolve: (result) => resolve(result as Result), reject })
      socket.send(message)
    })
  }

  liveQuery(): AsyncIterable<LiveMessage> {
    throw new UnsupportedFeatureError(Features.LiveQueries)
  }

  /** An answer without an id says that a request could not be read, and not which: all that wait get it. */
  #receive(data: RawData): void {
    let answer: { readonly id?: unknown; readonly error?: unknown; readonly result?: unknown }
    try {
      answer = this._context.codecs.cbor.decode(bytesOf(data))
    } catch (error) {
      this.#failAll(new UnexpectedServerResponseError(error))
      return
    }
    const call = typeof answer.id === 'string' ? this.#calls.get(answer.id) : undefined
    if (call === undefined) {
      if (answer.error !== undefined && answer.error !== null && typeof answer.id !== 'string') {
        this.#failAll(rpcError(answer.error))
      }
      return
    }
    this.#calls.delete(String(answer.id))
    if (answer.error !== undefined && answer.error !== null) call.reject(rpcError(answer.error))
    else call.resolve(answer.result)
  }

  #ended(failure: unknown): void {
    clearTimeout(this.#watchdog)
    this.#socket = undefined
    this._state = undefined
    if (failure !== undefined) this.#publisher.publish('error', new UnexpectedConnectionError(failure))
    this.#failAll(new CallTerminatedError())
    this.#publisher.publish('disconnected')
  }

  #failAll(error: unknown): void {
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const call of calls) call.reject(error)
  }

  /** Counts rounds, not time: a process that was busy or stopped for long gets to read its socket before it judges. */
  #watch(socket: WebSocket): void {
    this.#watchdog = setTimeout(() => {
      if (this.#silentRounds >= silentRoundsMax) {
        socket.terminate()
        return
      }
      this.#silentRounds += 1
      socket.ping()
      this.#watch(socket)
    }, pingIntervalMs)
    this.#watchdog.unref()
  }
}

/** The engines for `ws:` and `wss:`. */
export function webSocketEngine(tls: TlsSettings): (context: DriverContext) => SurrealEngine {
  return (context) => new OneShotWebSocketEngine(context, tls)
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

function rpcError(error: unknown): Error {
  return parseRpcError(error as Parameters<typeof parseRpcError>[0])
}
