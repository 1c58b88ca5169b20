/**
 * Tables without a key, which only a full sync can bring up to date: their rows are told apart by where they are stored. An
 * UPDATE, or a rewrite of the table, gives a row another address, so no change can be followed by it.
 */
import type { Codec } from './codecs/codec.js'
import { oidCodec } from './codecs/number.js'
import { textCodec } from './codecs/text.js'
import type { PostgresKeyColumn, PostgresTable } from './postgres-table.js'

const tidOid = 27
const oidOid = 26

/** The row's block and its place in it, as text: `(0,1)`. */
const address: PostgresKeyColumn = systemColumn('ctid', tidOid, 'text', textCodec, '::pg_catalog.text')
/** Which partition the address is in. */
const partition: PostgresKeyColumn = systemColumn('tableoid', oidOid, 'integer', oidCodec, '')

/** The table, keyed by the addresses of its rows; they appear as columns `ctid` and, of a partitioned table, `tableoid`. */
export function keyedByAddress(table: PostgresTable): PostgresTable {
  const key = table.partitioned ? [partition, address] : [address]
  return {
    ...table,
    columns: [...table.columns, ...key],
    key,
    keyIndex: key.map((_, index) => table.columns.length + index),
  }
}

/** Whether a table is keyed in that way. */
export function isKeyedByAddress({ key }: PostgresTable): boolean {
  return key.includes(address)
}

function systemColumn(
  name: string,
  typeOid: number,
  kind: 'text' | 'integer',
  codec: Codec,
  cast: string,
): PostgresKeyColumn {
  const quoted = `"${name}"`
  return {
    name,
    type: { kind },
    sourceType: name === 'ctid' ? 'tid' : 'oid',
    nullable: false,
    attnum: -1,
    typeOid,
    codec,
    quoted,
    select: `${quoted}${cast}`,
    unknownType: false,
    identity: name,
    startsNull: false,
    printed: (reference) => `${reference}::pg_catalog.text`,
    castType: name === 'ctid' ? 'pg_catalog.tid' : 'pg_catalog.oid',
    builtin: true,
    equality: 'OPERATOR(pg_catalog.=)',
    exactText: true,
  }
}
