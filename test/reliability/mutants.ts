/** Builds of the product that have a bug each, and the tests that must see it. */
import type { Tests } from './mutated-build.js'

export interface Mutant {
  readonly name: string
  /** What is changed in files of `src`: the text must be there exactly once. */
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[]
  readonly caughtBy: Tests
}

const interleavings = 'test/integration/interleavings.db.test.ts'
const commits = 'test/integration/surreal-sink-commits.db.test.ts'
const sinkFaults = 'test/integration/surreal-sink-faults.db.test.ts'

export const mutants: readonly Mutant[] = [
  {
    name: 'numbers that become visible late are not looked for',
    changes: [
      {
        file: 'src/sources/postgres/gap-tracker.ts',
        from: 'get gaps(): readonly Gap[] {\n    return this.#gaps',
        to: 'get gaps(): readonly Gap[] {\n    return []',
      },
    ],
    caughtBy: { file: interleavings, named: 'in the opposite order' },
  },
  {
    name: 'a missing number is given up at the next poll',
    changes: [
      {
        file: 'src/sources/postgres/gap-tracker.ts',
        from: 'fence(holders: ReadonlySet<string>): void {',
        to: 'fence(_: ReadonlySet<string>): void {\n    const holders: ReadonlySet<string> = new Set()',
      },
    ],
    caughtBy: { file: 'test/unit/gap-tracker.test.ts', named: 'keeps a gap while one' },
  },
  {
    name: 'TRUNCATE is not captured',
    changes: [
      { file: 'src/sources/postgres/capture-function.ts', from: `\${log(row('TRUNCATE', 'null'))}`, to: 'null;' },
    ],
    caughtBy: { file: interleavings, named: 'by TRUNCATE' },
  },
  {
    name: 'the old key of an UPDATE is not captured',
    changes: [
      { file: 'src/sources/postgres/capture-function.ts', from: `if \${parts.sameKey} then`, to: 'if true then' },
    ],
    caughtBy: { file: interleavings, named: 'of keys: one key' },
  },
  {
    name: 'the checkpoint is saved before writes are durable',
    changes: [
      {
        file: 'src/engine/pipeline.ts',
        from: 'while (this.#open.size > 0) await Promise.all(this.#open)',
        to: 'await Promise.resolve()',
      },
    ],
    caughtBy: { file: 'test/unit/pipeline.test.ts', named: 'I2' },
  },
  {
    name: 'the token of the state record is not compared',
    changes: [
      { file: 'src/sinks/surreal/statements.ts', from: 'IF $seen NOT IN $known { THROW', to: 'IF false { THROW' },
    ],
    caughtBy: { file: commits, named: 'carried out late changes nothing' },
  },
  {
    name: 'the token that a transaction returns is not looked at',
    changes: [{ file: 'src/sinks/surreal/lane.ts', from: 'if (!proved) throw notApplied(table)', to: 'void proved' }],
    caughtBy: { file: sinkFaults, named: 'rights are lost' },
  },
  {
    name: 'the write-ahead log is not waited for',
    changes: [
      {
        file: 'src/sources/postgres/flush-gate.ts',
        from: `if (row?.[0] === 't') return`,
        to: 'if (row !== undefined) return',
      },
    ],
    caughtBy: { file: 'test/integration/capture-failover.db.test.ts', named: 'a crash of the server could take back' },
  },
  {
    name: "the connections are the SDK's own, which reconnect",
    changes: [
      {
        file: 'src/connections/surreal/dial.ts',
        from: 'engines: observed(engines(requests), engineFailed),',
        to: `engines: observed({ ...engines(requests), ...(await import('surrealdb')).createRemoteEngines() }, engineFailed),
    websocketImpl: (await import('ws')).WebSocket as never,`,
      },
      { file: 'src/connections/surreal/dial.ts', from: 'reconnect: false }', to: 'reconnect: true }' },
      { file: 'src/connections/surreal/dial.ts', from: ", db.subscribe('reconnecting', end)]", to: ']' },
    ],
    caughtBy: { file: sinkFaults, named: 'over ws|server that is gone' },
  },
  {
    name: 'tables are not locked before the snapshot',
    changes: [
      {
        file: 'src/sources/postgres/snapshot.ts',
        from: 'if (tables.length === 0) return',
        to: 'if (tables.length >= 0) return',
      },
    ],
    caughtBy: { file: 'test/integration/snapshot-modes.db.test.ts', named: 'waits for a transaction that empties' },
  },
  {
    name: 'triggers fire for ordinary sessions only',
    changes: [
      { file: 'src/sources/postgres/capture-triggers.ts', from: 'enable always trigger', to: 'enable trigger' },
    ],
    caughtBy: { file: 'test/integration/harmless.db.test.ts', named: 'and is captured' },
  },
  {
    name: 'the quotes of identifiers can be broken out of',
    changes: [
      {
        file: 'src/sinks/surreal/quote.ts',
        from: "name.replace(/[\\\\`]/g, '\\\\$&')",
        to: "name.replaceAll('`', '')",
      },
    ],
    caughtBy: { file: 'test/integration/surreal-sink-values.db.test.ts', named: 'quotes thousands' },
  },
  {
    name: 'rows may be hidden from the reader',
    changes: [
      { file: 'src/sources/postgres/session.ts', from: `['row_security', 'off']`, to: `['row_security', 'on']` },
      { file: 'src/sources/postgres/catalog-tables.ts', from: 'pg_catalog.row_security_active(c.oid)', to: 'false' },
    ],
    caughtBy: { file: 'test/integration/coverage-kinds.db.test.ts', named: 'row level security' },
  },
  {
    name: 'an error of the server is the end of a COPY',
    changes: [
      {
        file: 'src/sources/postgres/copy-query.ts',
        from: 'if (error instanceof pg.DatabaseError && error.severity !== undefined) this.#fail(error)',
        to: `if (error instanceof pg.DatabaseError && error.severity !== undefined) {
      this.#state = 'ended'
      this.#notify()
    }`,
      },
    ],
    caughtBy: { file: 'test/integration/copy-stream.db.test.ts', named: 'connection was terminated' },
  },
  {
    name: 'the fastest consumer decides what is pruned',
    changes: [
      { file: 'src/sources/postgres/pruning.ts', from: 'pg_catalog.min(r.position)', to: 'pg_catalog.max(r.position)' },
    ],
    caughtBy: { file: 'test/integration/capture-teardown.db.test.ts', named: 'removes what every consumer has passed' },
  },
  {
    name: 'objects inherit names, so that __proto__ is lost',
    changes: [{ file: 'src/core/bare-object.ts', from: 'return new Bare()', to: 'return {}' }],
    caughtBy: {
      file: 'test/integration/codecs.db.test.ts',
      named: 'take the last of equal names|without losing a digit',
    },
  },
]
