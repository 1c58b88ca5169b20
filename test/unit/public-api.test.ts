/** Every name that the package exports. A change here is a change for users: say it in CHANGELOG.md. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, it } from 'vitest'
import * as library from '../../src/index.js'
import * as testing from '../../src/testing/index.js'

/** The names in the export lists of an entry point, types marked. It has nothing but such lists. */
function exportedNames(path: string): readonly string[] {
  const file = fileURLToPath(new URL(path, import.meta.url))
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
  return source.statements
    .flatMap((statement) => {
      if (!ts.isExportDeclaration(statement) || statement.exportClause === undefined)
        throw new Error('Not an export list')
      if (!ts.isNamedExports(statement.exportClause)) throw new Error('Not an export list')
      return statement.exportClause.elements.map((element) =>
        statement.isTypeOnly || element.isTypeOnly ? `type ${element.name.text}` : element.name.text,
      )
    })
    .sort()
}

/** The exported names that nothing is said of where they are declared. */
function undocumented(paths: readonly string[]): readonly string[] {
  const files = paths.map((path) => fileURLToPath(new URL(path, import.meta.url)))
  const repository = fileURLToPath(new URL('../..', import.meta.url))
  const { config } = ts.readConfigFile(`${repository}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, repository)
  const program = ts.createProgram(files, { ...options, noEmit: true })
  const checker = program.getTypeChecker()
  return files.flatMap((file) => {
    const module = program.getSourceFile(file)
    const symbol = module && checker.getSymbolAtLocation(module)
    const names = symbol === undefined ? [] : checker.getExportsOfModule(symbol)
    expect(names.length).toBeGreaterThan(10)
    return names.flatMap((name) => {
      const own = name.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(name) : name
      return own.getDocumentationComment(checker).length === 0 ? [name.name] : []
    })
  })
}

it('every name is documented', () => {
  expect(undocumented(['../../src/index.ts', '../../src/testing/index.ts'])).toEqual([])
})

const values = (names: readonly string[]) => names.filter((name) => !name.startsWith('type '))

it('surreal-sync exports these names', () => {
  const names = exportedNames('../../src/index.ts')
  expect(names).toMatchInlineSnapshot(`
    [
      "Decimal",
      "FanOutSink",
      "FileCheckpointStore",
      "MemoryCheckpointStore",
      "NdjsonSink",
      "PostgresCheckpointStore",
      "PostgresTriggerSource",
      "SurrealCheckpointStore",
      "SurrealSink",
      "SyncEngine",
      "SyncError",
      "decodeCheckpoint",
      "defineConfig",
      "defineShape",
      "deletes",
      "describeMapping",
      "encodeCheckpoint",
      "examine",
      "listQuarantine",
      "observe",
      "repair",
      "retryQuarantine",
      "traceSpans",
      "truncate",
      "type Abortable",
      "type Alteration",
      "type AuditDetachment",
      "type AuditLimitOutcome",
      "type AuditLimitPolicy",
      "type AuthLevel",
      "type Batch",
      "type BatchLimits",
      "type CapturedTable",
      "type ChangeOptions",
      "type CheckOptions",
      "type Checkpoint",
      "type CheckpointKind",
      "type CheckpointStore",
      "type Chunk",
      "type Column",
      "type ComputedField",
      "type Deletes",
      "type Delta",
      "type Difference",
      "type EventSource",
      "type ExaminableSink",
      "type ExaminableSource",
      "type ExamineOptions",
      "type ExamineSinkOptions",
      "type ExamineSourceOptions",
      "type ExistingRecords",
      "type Finding",
      "type Health",
      "type Holding",
      "type InstallScriptOptions",
      "type Json",
      "type Key",
      "type KeylessTables",
      "type LeaseOptions",
      "type LeftOutTable",
      "type ListenOptions",
      "type LogicalType",
      "type Mapping",
      "type Mask",
      "type NdjsonSinkOptions",
      "type NdjsonStream",
      "type Observation",
      "type ObserveOptions",
      "type Phase",
      "type PipelineStatus",
      "type Plan",
      "type PlannedTable",
      "type Position",
      "type PostgresCheckpointStoreOptions",
      "type PostgresPassword",
      "type PostgresQueries",
      "type PostgresTlsOptions",
      "type PostgresTriggerSourceOptions",
      "type PrepareOptions",
      "type ProtectionOptions",
      "type QuarantineOptions",
      "type QuarantinedRow",
      "type QuarantiningSink",
      "type RangeBound",
      "type ReadOptions",
      "type RepairOptions",
      "type RepairResult",
      "type ReplaceBatch",
      "type RequestHandler",
      "type RetryOptions",
      "type RetryPolicy",
      "type RetryResult",
      "type Row",
      "type RowBatch",
      "type RowCursor",
      "type RunContext",
      "type RunOptions",
      "type RunReport",
      "type RunResult",
      "type RunState",
      "type Shape",
      "type Shaping",
      "type ShapingOptions",
      "type Sink",
      "type SkipReason",
      "type Snapshot",
      "type SnapshotMode",
      "type SnapshotOptions",
      "type Source",
      "type SourceAccess",
      "type SourceExamination",
      "type SourcePlan",
      "type SourceStatus",
      "type SslMode",
      "type SurrealAddressOptions",
      "type SurrealCheckpointStoreOptions",
      "type SurrealFactoryOptions",
      "type SurrealSinkOptions",
      "type SurrealSinkSettings",
      "type SurrealTlsOptions",
      "type SurrealToken",
      "type SyncConfig",
      "type SyncEngineOptions",
      "type SyncErrorCode",
      "type SyncErrorDetails",
      "type SyncEvents",
      "type SyncWarning",
      "type Table",
      "type TableProgress",
      "type TableReport",
      "type TableResult",
      "type TableShape",
      "type TableTotals",
      "type TargetAccess",
      "type TargetContent",
      "type TargetField",
      "type TargetTable",
      "type Transform",
      "type TriggerLevel",
      "type TruncateBatch",
      "type Value",
      "type ValueWriter",
      "type VerifiableSource",
      "type VerifiableTarget",
      "type VerifyOptions",
      "type VerifyProgress",
      "type VerifyResult",
      "type WatchedSource",
      "type WatchedStatus",
      "type WriterStatus",
      "upserts",
      "verify",
    ]
  `)
  expect(values(names)).toEqual(Object.keys(library).sort())
})

it('surreal-sync/testing exports these names', () => {
  const names = exportedNames('../../src/testing/index.ts')
  expect(names).toMatchInlineSnapshot(`
    [
      "Duplicate",
      "FailAfterWrite",
      "HoldResponse",
      "InvariantError",
      "MemorySink",
      "MemorySource",
      "Reject",
      "RespondSlowly",
      "defineTable",
      "faulty",
      "testCheckpointStore",
      "testSink",
      "testSource",
      "type CheckpointStoreKitOptions",
      "type CheckpointStoreSubject",
      "type Fault",
      "type FaultScript",
      "type FaultyOperation",
      "type Invariant",
      "type MemoryChange",
      "type MemoryOperation",
      "type MemorySinkOptions",
      "type MemorySourceOptions",
      "type SinkKitOptions",
      "type SinkSubject",
      "type SourceChange",
      "type SourceKitOptions",
      "type SourceSubject",
      "type TestRunner",
    ]
  `)
  expect(values(names)).toEqual(Object.keys(testing).sort())
})
