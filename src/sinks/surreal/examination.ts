/** Everything that an operator would look at in the target. Nothing is left of it. */
import { randomUUID } from 'node:crypto'
import { RecordId } from 'surrealdb'
import { Connection } from '../../connections/surreal/connection.js'
import { toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import { SyncError } from '../../core/errors.js'
import type { Finding } from '../../core/finding.js'
import type { Table } from '../../core/schema.js'
import type { Abortable } from '../../core/source.js'
import { Catalog } from './catalog.js'
import { findEncoding } from './encoding.js'
import type { SinkConfig } from './options.js'
import { Ownership } from './ownership.js'
import { isThere, rehearse } from './rehearsal.js'
import { probe, probeTable } from './statements.js'

/** What `SurrealSink.examine` has to know. */
export interface ExamineSinkOptions extends Abortable {
  /** The pipeline's id. @defaultValue `default` */
  readonly id?: string
  /** What would be replicated. @defaultValue nothing: then nobody looks at target tables */
  readonly tables?: readonly Table[]
}

const skewMsMax = 5_000
const editor = "Define the user with the role EDITOR: define user NAME on database password '…' roles editor"

/** Never throws for what it finds, also if nobody answers. @throws the signal's reason */
export async function examineTarget(
  config: SinkConfig,
  { id = 'default', tables = [], signal }: ExamineSinkOptions,
): Promise<readonly Finding[]> {
  const connection = new Connection(config.dial, { callTimeoutMs: config.callTimeoutMs, address: config.address })
  const options = { signal }
  const findings: Finding[] = []
  const found = async (name: string, look: () => Promise<string | Finding>) => {
    try {
      const said = await look()
      findings.push(typeof said === 'string' ? { id: name, outcome: 'ok', message: said } : said)
      return true
    } catch (error) {
      signal?.throwIfAborted()
      findings.push(refusal(name, error))
      return false
    }
  }
  try {
    const where = config.address ?? 'the connection given'
    const open = () => connection.open(options).then(() => `Connected to ${where}`)
    if (!(await found('target.connection', open))) return findings
    await found('target.version', async () => `SurrealDB ${await version(connection, options)}`)
    findings.push(tls(config))
    await found('target.clock', () => clock(connection, options))
    const there = await isThere(connection, config, options)
    if (!there) {
      await found('target.rights.define', async () => {
        await rehearse(connection, config, id, options)
        return `${config.namespace}/${config.database} is not there, and this user may define it`
      })
      return findings
    }
    await found('target.encoding', () => encoding(connection, options))
    await probeRights(connection, options, found)
    if (tables.length > 0) await found('target.tables', () => content(connection, config, { id, tables, options }))
    return findings
  } catch (error) {
    signal?.throwIfAborted()
    return [...findings, refusal('target.connection', error)]
  } finally {
    await connection.close()
  }
}

type Found = (name: string, look: () => Promise<string | Finding>) => Promise<boolean>

/** SurrealDB may report success to users without rights and do nothing, so what was written is read by another query. */
async function probeRights(connection: Connection, options: Abortable, found: Found): Promise<void> {
  const record = new RecordId(probeTable, randomUUID())
  const value = randomUUID()
  const query = async (text: string) => {
    const { results, failure } = await connection.call((db) => ask(db, text, { record, value }), options)
    if (failure !== undefined) throw toSyncError(failure)
    return results.at(-1)
  }
  const expect = async (answer: Promise<unknown>, right: (it: unknown) => boolean, what: string) => {
    if (right(await answer)) return what
    throw new SyncError('E_WRITE_NOT_APPLIED', 'SurrealDB accepted a probe record without doing anything', {
      hint: editor,
    })
  }
  const define = () => query(probe.define).then(() => 'This user may define tables')
  if (!(await found('target.rights.define', define))) return
  try {
    const isValue = (it: unknown) => [it].flat()[0] === value
    const written = await found('target.rights.write', () =>
      expect(query(probe.write), isValue, 'A probe record was written'),
    )
    if (!written) return
    await found('target.rights.read', () => expect(query(probe.read), isValue, 'It was read back'))
    await found('target.rights.remove', () =>
      expect(query(probe.remove), (it) => [it].flat().length === 1, 'It was removed'),
    )
  } finally {
    await query(probe.undefine)
  }
}

function refusal(id: string, error: unknown): Finding {
  const { code, message, details } = toSyncError(error)
  const { hint = 'See the entry of this code in docs/troubleshooting.md.', table } = details
  return {
    id,
    outcome: 'problem',
    message: `${message} [${code}]`,
    remedy: code === 'E_RIGHTS' ? `${editor}.` : hint,
    table,
  }
}

async function version(connection: Connection, options: Abortable): Promise<string> {
  const { version: text } = await connection.call((db) => db.version(), options)
  return text.replace(/^surrealdb-/, '')
}

function tls({ address, warning }: SinkConfig): Finding {
  const id = 'target.tls'
  if (warning !== undefined) {
    return {
      id,
      outcome: 'warning',
      message: warning.message,
      remedy: 'Use wss:// or https://, with a certificate that can be verified.',
    }
  }
  if (address === undefined || !/^(ws|http)s?:/.test(address))
    return { id, outcome: 'ok', message: 'No network is in between' }
  const encrypted = /^(wss|https):/.test(address)
  return {
    id,
    outcome: 'ok',
    message: encrypted ? 'Encryption: TLS, verified' : 'Encryption: none, the server is near',
  }
}

async function clock(connection: Connection, options: Abortable): Promise<Finding> {
  const before = Date.now()
  const { results, failure } = await connection.call((db) => ask(db, probe.clock), options)
  if (failure !== undefined) throw toSyncError(failure)
  const skewMs = Number(results.at(-1)) / 1_000 - (before + Date.now()) / 2
  const message = `The clock of SurrealDB is ${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} this machine's`
  if (Math.abs(skewMs) <= skewMsMax) return { id: 'target.clock', outcome: 'ok', message }
  return {
    id: 'target.clock',
    outcome: 'warning',
    message,
    remedy: 'Set the clocks by NTP: times of soft deletes depend on it.',
  }
}

async function encoding(connection: Connection, options: Abortable): Promise<string | Finding> {
  if ((await findEncoding(connection, options)) !== 'objects') return 'Values keep their kinds on the way'
  return {
    ...{ id: 'target.encoding', outcome: 'warning' },
    message: 'This connection cannot carry floats without a fraction: SurrealDB will store them as integers',
    remedy: 'Use SurrealDB 3, or let SurrealSink open the connections itself.',
  }
}

async function content(
  connection: Connection,
  config: SinkConfig,
  { id, tables, options }: { readonly id: string; readonly tables: readonly Table[]; readonly options: Abortable },
): Promise<string> {
  const plans = new Catalog(config.choices, config.tableName).register(tables, () => {})
  const ownership = new Ownership(connection, id)
  await ownership.load(options)
  await ownership.adopt(plans, config.existing, options)
  return "The target tables are free, or this pipeline's"
}
