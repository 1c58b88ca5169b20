/** SurrealDB's RPC methods over the embedded engine, taking and giving the bytes that travel on the wire. */
import { NodeEngine } from '@surrealdb/node'
import { CborCodec, type ConnectionState, type DriverContext, JsonCodec, Uuid, type ValueCodec } from 'surrealdb'

/** A request as far as the server must understand it. */
interface Envelope {
  readonly id?: unknown
  readonly method: string
  readonly params: readonly unknown[]
  readonly session?: Uuid
}

const codec = new CborCodec({})

/** Hands the bytes through: the request is already encoded, and whoever asked decodes the answer. */
const passThrough: ValueCodec = {
  encode(request) {
    const bytes: unknown = typeof request === 'object' && request !== null && 'params' in request ? request.params : []
    if (Array.isArray(bytes) && bytes[0] instanceof Uint8Array) return bytes[0]
    throw new Error('The engine was given something else than the bytes of a request.')
  },
  decode: <T>(bytes: Uint8Array) => bytes as T,
}
const passThroughContext: DriverContext = {
  options: {},
  uniqueId: () => '',
  codecs: { cbor: passThrough, flatbuffer: passThrough, json: new JsonCodec({}) },
}

/** What an anonymous session may call: signing in, and what the SDK calls before it. */
const anonymousMethods: ReadonlySet<string> = new Set([
  ...['signin', 'signup', 'authenticate', 'ping', 'version', 'info'],
  ...['use', 'attach', 'detach', 'invalidate', 'reset'],
])
const anonymousError = {
  code: -32002,
  kind: 'NotAllowed',
  message: 'Anonymous access not allowed: Not enough permissions to perform this action',
}
const expiredError = { code: -32002, kind: 'NotAllowed', message: 'The session has expired' }
const timedOut = { status: 'ERR', result: 'The query was not executed because it exceeded the timeout', time: '1s' }
const parseError = { code: -32700, kind: 'Validation', message: 'Parse error' }

/** One open database, shared by all connections of a server. */
export class SurrealRpc {
  readonly #engine: NodeEngine
  /** The sessions that are signed in: the embedded engine takes an anonymous one for the owner. */
  readonly #signedIn = new Set<string>()
  readonly #executing = new Set<Promise<Uint8Array>>()
  #closed = false

  private constructor(engine: NodeEngine) {
    this.#engine = engine
  }

  /** Opens the storage and makes the root user. */
  static async open(storage: string, username: string, password: string): Promise<SurrealRpc> {
    const engine = new NodeEngine(passThroughContext)
    const opened = new Promise<void>((resolve, reject) => {
      engine.subscribe('connected', resolve)
      engine.subscribe('error', reject)
    })
    engine.open({ url: new URL(storage) } as ConnectionState) // the embedded engine reads nothing else of it
    await opened
    const rpc = new SurrealRpc(engine)
    const session = Uuid.v4()
    await rpc.#call('attach', session)
    const name = `\`${username.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
    const definition = `DEFINE USER IF NOT EXISTS ${name} ON ROOT PASSWORD ${JSON.stringify(password)} ROLES OWNER`
    await rpc.#call('query', session, [definition])
    await rpc.#call('detach', session)
    return rpc
  }

  /** Makes a session; anonymous until a sign-in succeeds in it. */
  async attach(): Promise<Uuid> {
    const session = Uuid.v4()
    await this.#call('attach', session)
    return session
  }

  /** Ends a session, and with it its open transactions. */
  async detach(session: Uuid): Promise<void> {
    this.#signedIn.delete(session.toString())
    await this.#call('detach', session)
  }

  /** Selects namespace and database of a session. */
  async use(session: Uuid, namespace: string | undefined, database: string | undefined): Promise<void> {
    await this.#call('use', session, [namespace, database])
  }

  /** Signs a session in; returns whether the engine accepted the credentials. */
  async signIn(session: Uuid, method: 'signin' | 'authenticate', credentials: unknown): Promise<boolean> {
    const answer = await this.#call(method, session, [credentials])
    if (isErrorAnswer(answer)) return false
    this.#signedIn.add(session.toString())
    return true
  }

  /** The text of a query, `undefined` for every other method and for bytes that are not a request. */
  queryText(bytes: Uint8Array): string | undefined {
    const envelope = parse(bytes)
    const text = envelope?.method === 'query' ? envelope.params[0] : undefined
    return typeof text === 'string' ? text : undefined
  }

  /**
   * Executes one request in `session`, unless it names a session of its own, and returns the whole response. Bytes that
   * cannot be decoded are answered without an id, as the real server does.
   */
  async respond(bytes: Uint8Array, session: Uuid): Promise<Uint8Array> {
    const envelope = parse(bytes)
    if (envelope === undefined) return codec.encode({ error: parseError })
    const { id, method } = envelope
    const own = envelope.session ?? session
    const key = own.toString()
    if (!this.#signedIn.has(key) && !anonymousMethods.has(method)) return codec.encode({ id, error: anonymousError })
    let answer: Uint8Array
    try {
      answer = await this.#send(envelope.session === undefined ? withSession(bytes, session) : bytes)
    } catch {
      return codec.encode({ error: parseError })
    }
    if (!isErrorAnswer(answer)) {
      if (['signin', 'signup', 'authenticate'].includes(method)) this.#signedIn.add(key)
      if (['invalidate', 'reset', 'detach'].includes(method)) this.#signedIn.delete(key)
    }
    return response(id, answer)
  }

  /** Ends who the session is, and answers the request with just that. */
  expire(bytes: Uint8Array, session: Uuid): Uint8Array {
    const envelope = parse(bytes)
    this.#signedIn.delete((envelope?.session ?? session).toString())
    return codec.encode({ id: envelope?.id, error: expiredError })
  }

  /** Answers the request as if its statement had taken too long. */
  timeOut(bytes: Uint8Array): Uint8Array {
    return codec.encode({ id: parse(bytes)?.id, result: [timedOut] })
  }

  /** Waits for what the engine executes, takes nothing more, and closes the storage. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#executing) // the engine panics when it is freed under a call
    await this.#engine.close()
  }

  async #call(method: string, session: Uuid, params: readonly unknown[] = []): Promise<Uint8Array> {
    return this.#send(codec.encode({ id: 0, method, params, session }))
  }

  async #send(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#closed) throw new Error('The storage is closed.')
    const answer = this.#engine.send<string, [Uint8Array], Uint8Array>({ method: '', params: [bytes] })
    this.#executing.add(answer)
    try {
      return await answer
    } finally {
      this.#executing.delete(answer)
    }
  }
}

function parse(bytes: Uint8Array): Envelope | undefined {
  try {
    const { id, method, params, session } = codec.decode<Record<string, unknown>>(bytes)
    if (typeof method !== 'string') return undefined
    return {
      id,
      method,
      params: Array.isArray(params) ? params : [],
      ...(session instanceof Uuid && { session }),
    }
  } catch {
    return undefined
  }
}

/** Appends a `session` entry to an encoded map of fewer than 23 entries; of two equal keys the engine takes the last. */
function withSession(bytes: Uint8Array, session: Uuid): Uint8Array {
  const head = bytes[0] ?? 0
  if (head < 0xa0 || head > 0xb6) throw new Error('The request is not a small map.')
  const entry = codec.encode({ session })
  const combined = Buffer.concat([bytes, entry.subarray(1)])
  combined[0] = head + 1
  return combined
}

const errorAnswerHead = Buffer.from([0xa1, 0x65, ...Buffer.from('error')])

/** The engine answers with the bare result, or with a map whose only key is `error`. */
function isErrorAnswer(answer: Uint8Array): boolean {
  return errorAnswerHead.equals(answer.subarray(0, errorAnswerHead.length))
}

function response(id: unknown, answer: Uint8Array): Uint8Array {
  const mapOfTwo = Buffer.from([0xa2])
  const idEntry = codec.encode({ id }).subarray(1)
  if (isErrorAnswer(answer)) return Buffer.concat([mapOfTwo, idEntry, answer.subarray(1)])
  return Buffer.concat([mapOfTwo, idEntry, Buffer.from([0x66]), Buffer.from('result'), answer])
}
