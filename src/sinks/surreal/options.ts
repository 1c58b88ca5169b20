/** The options of the sink, their defaults and limits. */
import type { Surreal } from 'surrealdb'
import { dialAddress, type SurrealAddressOptions } from '../../connections/surreal/access.js'
import { type Address, parseAddress } from '../../connections/surreal/address.js'
import type { Dial } from '../../connections/surreal/connection.js'
import { customDial } from '../../connections/surreal/dial.js'
import { tlsWarning } from '../../connections/surreal/tls.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Table } from '../../core/schema.js'
import type { BatchLimits } from '../../core/source.js'
import type { ExistingRecords } from './ownership.js'
import type { PieceLimits } from './row-encoder.js'
import { choose, type ValueOptions } from './types.js'
import { ValueChoices, type ValueSettings } from './value-choices.js'

/** A database that the caller connects to. */
export interface SurrealFactoryOptions {
  /**
   * Returns a connected, signed-in instance that uses a database. Called once for each writer, and again after a connection
   * was lost. Connect with `reconnect: false`: the SDK's reconnect sends requests twice.
   */
  readonly connect: () => Promise<Surreal>
  /** @defaultValue closes the instance */
  readonly disconnect?: (db: Surreal) => Promise<unknown>
  readonly url?: undefined
  readonly tls?: undefined
}

/** How a {@link SurrealSink} writes, wherever it does. */
export interface SurrealSinkSettings extends ValueOptions {
  /** The forms of values by type and by column: `{ columns: { 'public.events.took': { interval: 'object' } } }`. */
  readonly values?: ValueSettings
  /** How many writes run at once, each over its own connection. @defaultValue `2` */
  readonly writers?: number
  /** At most this many rows in a transaction. @defaultValue what is fastest for the engine */
  readonly batchSize?: number
  /**
   * A row that is larger at the source, or as it would be sent, is refused by name (`E_ROW_TOO_LARGE`). At most 128 MiB.
   * @defaultValue 32 MiB; 3.5 MiB over http and https
   */
  readonly maxRowBytes?: number
  /** @defaultValue `10_000` */
  readonly connectTimeoutMs?: number
  /** How long one transaction may take. @defaultValue `60_000` */
  readonly callTimeoutMs?: number
  /**
   * What a full sync does with target tables that hold records of others: stop, delete what the source does not have, or
   * write beside them. @defaultValue `'refuse'`
   */
  readonly existing?: ExistingRecords
  /**
   * Rows that the target refuses, or that cannot be written, are put into the table `surreal_sync_quarantine`, with a warning, and
   * the others go on. An entry goes when a later version of its row is applied. The record keeps its last good version
   * meanwhile, and the target is not called consistent. After 10,000 of them, and otherwise at once, the run stops with
   * `E_POISON_ROW`, `E_VALUE` or `E_ROW_TOO_LARGE`. @defaultValue false
   */
  readonly quarantine?: boolean
  /** The target's name for a table. @defaultValue the table's own name */
  readonly tableName?: (table: Table) => string
}

/** Where and how a {@link SurrealSink} writes: at an address, or over connections of the program. */
export type SurrealSinkOptions = (SurrealAddressOptions | SurrealFactoryOptions) & SurrealSinkSettings

/** The options, checked and completed. */
export interface SinkConfig {
  readonly dial: Dial
  readonly address?: string
  /** To be told when it is opened. */
  readonly warning?: SyncWarning
  /** Undefined: the caller's factory chooses the database. */
  readonly namespace?: string
  readonly database?: string
  readonly writers: number
  readonly callTimeoutMs: number
  readonly existing: ExistingRecords
  readonly quarantine: boolean
  readonly tableName: (table: Table) => string
  readonly choices: ValueChoices
  readonly limits: BatchLimits
  readonly insertLimits: PieceLimits
  readonly writeLimits: PieceLimits
}

const KiB = 1024
const MiB = 1024 * KiB

const defaults = {
  writers: 2,
  connectTimeoutMs: 10_000,
  callTimeoutMs: 60_000,
  /** One transaction, however the batches were cut: SurrealKV fails for good beyond about 95 MB. */
  transactionRowsMax: 2_000,
  transactionBytesMax: 8 * MiB,
  /** On `mem://` the cost grows with the square of the records inserted in one transaction. Others lose little by it. */
  memoryInsertRowsMax: 200,
  rowBytesMax: 32 * MiB,
  /** What a SurrealDB server takes at once over WebSocket. SurrealKV fails for good beyond about 95 MB. */
  rowBytesLimit: 128 * MiB,
  /** A SurrealDB server takes 4 MiB over HTTP. */
  httpBytesMax: 3.5 * MiB,
  writersMax: 16,
} as const

const batchLimits = {
  memory: { rowsMax: 75, bytesMax: 128 * KiB },
  file: { rowsMax: 1_000, bytesMax: 128 * KiB },
  remote: { rowsMax: 1_000, bytesMax: 256 * KiB },
  /** What the caller connects to may be any of these. */
  unknown: { rowsMax: 200, bytesMax: 128 * KiB },
} as const satisfies Record<string, BatchLimits>

/** @throws SyncError `E_CONFIG` */
export function sinkConfig(options: SurrealSinkOptions): SinkConfig {
  const address = options.url === undefined ? undefined : parseAddress(options.url)
  const http = address?.protocol === 'http:' || address?.protocol === 'https:'
  const memory = address === undefined || address.protocol === 'mem:'
  const rowsMax = positive('batchSize', options.batchSize) ?? defaults.transactionRowsMax
  const rowBytesMax = positive('maxRowBytes', options.maxRowBytes, defaults.rowBytesLimit) ?? defaults.rowBytesMax
  const writeLimits: PieceLimits = {
    rowsMax: Math.min(rowsMax, defaults.transactionRowsMax),
    bytesMax: http ? defaults.httpBytesMax : defaults.transactionBytesMax,
    rowBytesMax: http ? Math.min(rowBytesMax, defaults.httpBytesMax) : rowBytesMax,
    rowHint: http
      ? 'Connect with ws:// or wss://: SurrealDB takes no more than 4 MiB over HTTP.'
      : 'Leave the table out, or raise `maxRowBytes`.',
  }
  const limits = batchLimits[engineOf(address)]
  return {
    dial: dialFor(options, address),
    address: address?.label,
    warning: address === undefined ? undefined : tlsWarning(address, options.tls),
    ...(options.url === undefined ? {} : { namespace: options.namespace, database: options.database }),
    writers: Math.min(positive('writers', options.writers) ?? defaults.writers, defaults.writersMax),
    callTimeoutMs: positive('callTimeoutMs', options.callTimeoutMs) ?? defaults.callTimeoutMs,
    existing: choose('existing', ['refuse', 'replace', 'keep'], options.existing),
    quarantine: options.quarantine ?? false,
    tableName: options.tableName ?? ((table) => table.name),
    choices: new ValueChoices(options, options.values),
    limits: {
      ...limits,
      rowsMax: Math.min(limits.rowsMax, rowsMax),
      // Before it is decoded a row is often larger than after: where little may be sent, it is the latter that counts.
      rowBytesMax: Math.max(rowBytesMax, defaults.rowBytesMax),
    },
    insertLimits: memory
      ? { ...writeLimits, rowsMax: Math.min(writeLimits.rowsMax, defaults.memoryInsertRowsMax) }
      : writeLimits,
    writeLimits,
  }
}

function engineOf(address: Address | undefined): keyof typeof batchLimits {
  if (address === undefined) return 'unknown'
  if (!address.embedded) return 'remote'
  return address.protocol === 'mem:' ? 'memory' : 'file'
}

function dialFor(options: SurrealSinkOptions, address: Address | undefined): Dial {
  const connectTimeoutMs = positive('connectTimeoutMs', options.connectTimeoutMs) ?? defaults.connectTimeoutMs
  if (options.url === undefined || address === undefined) {
    if (typeof options.connect !== 'function') throw new SyncError('E_CONFIG', 'Neither url nor connect was given')
    return customDial(options.connect, options.disconnect ?? ((db) => db.close()), connectTimeoutMs)
  }
  return dialAddress(options, address, connectTimeoutMs)
}

function positive(name: string, given: number | undefined, max = Number.MAX_VALUE): number | undefined {
  if (given === undefined || (Number.isFinite(given) && given >= 1 && given <= max)) return given
  if (given > max) throw new SyncError('E_CONFIG', `The option ${name} of the SurrealDB sink is more than ${max}`)
  throw new SyncError('E_CONFIG', `The option ${name} of the SurrealDB sink is not a positive number`)
}
