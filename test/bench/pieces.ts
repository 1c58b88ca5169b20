/** What a sync would send, encoded beforehand, and the sending of it. */

import { Connection } from '../../src/connections/surreal/connection.js'
import type { RowBatch } from '../../src/core/batch.js'
import type { Source } from '../../src/core/source.js'
import { Catalog } from '../../src/sinks/surreal/catalog.js'
import { CborWriter } from '../../src/sinks/surreal/cbor-writer.js'
import { defineDatabases, defineState, defineTargets } from '../../src/sinks/surreal/definitions.js'
import { findEncoding } from '../../src/sinks/surreal/encoding.js'
import { Lane } from '../../src/sinks/surreal/lane.js'
import { type SinkConfig, type SurrealSinkOptions, sinkConfig } from '../../src/sinks/surreal/options.js'
import { RowEncoder } from '../../src/sinks/surreal/row-encoder.js'
import type { WriteKind } from '../../src/sinks/surreal/statements.js'
import type { TablePlan } from '../../src/sinks/surreal/table-plan.js'

export interface Pieces {
  readonly config: SinkConfig
  readonly plan: TablePlan
  readonly bytes: readonly Uint8Array[]
  readonly rows: number
}

/** Reads one table and encodes it just as the sink does, batch by batch. */
export async function encodeTable(source: Source, options: SurrealSinkOptions, keep: boolean): Promise<Pieces> {
  const config = sinkConfig(options)
  await source.open?.({ syncId: 'bench', warn: () => {} })
  try {
    const tables = await source.tables({})
    const [plan] = new Catalog(config.choices, config.tableName).register(tables, () => {})
    if (plan === undefined) throw new Error('There is no table')
    const writer = new CborWriter(config.choices.general)
    const bytes: Uint8Array[] = []
    let rows = 0
    const encode = (batch: RowBatch) => {
      const encoder = new RowEncoder(writer, plan, batch, config.insertLimits)
      for (let piece = encoder.next(); piece !== undefined; piece = encoder.next()) {
        rows += piece.rowCount
        if (keep) bytes.push(piece.bytes.slice())
      }
    }
    await using snapshot = await source.openSnapshot({ tables, captured: false })
    for (const chunk of await snapshot.chunks(plan.table, {})) {
      for await (const batch of snapshot.read(chunk, { limits: config.limits })) encode(batch)
    }
    return { config, plan, bytes, rows }
  } finally {
    await source.close?.()
  }
}

/** Connections that write as those of the sink do. */
export async function openLanes({ config, plan }: Pieces): Promise<readonly Lane[]> {
  const lanes = Array.from({ length: config.writers }, (_, index) => {
    const connection = new Connection(config.dial, { callTimeoutMs: config.callTimeoutMs, address: config.address })
    const lane = new Lane({ index, connection, writer: new CborWriter(config.choices.general) })
    lane.bind('bench_pure')
    return lane
  })
  const [first] = lanes
  if (first === undefined) throw new Error('There is no lane')
  await first.connection.open({})
  await defineDatabases(first.connection, config, {})
  const encoding = await findEncoding(first.connection, {})
  await defineState(first.connection, {})
  await defineTargets(first.connection, [plan], {})
  const token = await first.claim(lanes.length, { leases: ['', 'bench'], lease: 'bench' }, {})
  for (const lane of lanes) {
    lane.encoding = encoding
    lane.take(token)
  }
  return lanes
}

/** Each lane takes the next piece as soon as it is free. */
export async function send({ bytes, rows }: Pieces, lanes: readonly Lane[], kind: WriteKind): Promise<number> {
  let next = 0
  const work = async (lane: Lane) => {
    for (let piece = bytes[next++]; piece !== undefined; piece = bytes[next++]) {
      if (!(await lane.write({ kind, bytes: piece }, {}))) throw new Error('A record was there already')
    }
  }
  await Promise.all(lanes.map(work))
  return rows
}
