/** The public API of surreal-sync. */
export { decodeCheckpoint, encodeCheckpoint } from './checkpoints/checkpoint-text.js'
export { FileCheckpointStore } from './checkpoints/file.js'
export { MemoryCheckpointStore } from './checkpoints/memory.js'
export {
  PostgresCheckpointStore,
  type PostgresCheckpointStoreOptions,
  type PostgresQueries,
} from './checkpoints/postgres.js'
export { SurrealCheckpointStore, type SurrealCheckpointStoreOptions } from './checkpoints/surreal.js'
export { defineConfig, type SyncConfig } from './config/sync-config.js'
export type { PostgresPassword } from './connections/postgres/connection-settings.js'
export type { PostgresTlsOptions, SslMode } from './connections/postgres/tls-settings.js'
export type { SurrealAddressOptions } from './connections/surreal/access.js'
export type { AuthLevel, SurrealToken } from './connections/surreal/dial.js'
export type { SurrealTlsOptions } from './connections/surreal/tls.js'
export type { Alteration } from './core/alteration.js'
export {
  type Batch,
  deletes,
  type Key,
  type ReplaceBatch,
  type Row,
  type RowBatch,
  type RowCursor,
  type TruncateBatch,
  truncate,
  upserts,
} from './core/batch.js'
export type { Checkpoint, CheckpointKind, CheckpointStore, Position } from './core/checkpoint.js'
export type { Delta } from './core/delta.js'
export { SyncError, type SyncErrorCode, type SyncErrorDetails } from './core/errors.js'
export type { Phase, SyncEvents, SyncWarning, TableProgress } from './core/events.js'
export type { Finding } from './core/finding.js'
export type { Column, Table } from './core/schema.js'
export {
  type ComputedField,
  type Deletes,
  defineShape,
  type Mask,
  type Shaping,
  type TableShape,
  type Transform,
} from './core/shaping.js'
export type { PrepareOptions, Sink } from './core/sink.js'
export type {
  Abortable,
  BatchLimits,
  ChangeOptions,
  CheckOptions,
  Chunk,
  LeaseOptions,
  ReadOptions,
  RunContext,
  RunReport,
  Snapshot,
  SnapshotOptions,
  Source,
  TableReport,
} from './core/source.js'
export {
  Decimal,
  type Json,
  type LogicalType,
  type RangeBound,
  type Shape,
  type Value,
  type ValueWriter,
} from './core/value.js'
export { type ExaminableSink, type ExaminableSource, type ExamineOptions, examine } from './engine/examine.js'
export type { SyncEngineOptions } from './engine/options.js'
export type { RetryPolicy } from './engine/retry.js'
export type { TableResult } from './engine/run.js'
export { type Plan, type RunOptions, type RunResult, SyncEngine } from './engine/sync-engine.js'
export type { Health } from './observe/health.js'
export type { ListenOptions } from './observe/http-server.js'
export type { EventSource } from './observe/listening.js'
export type { Observation, ObserveOptions } from './observe/observation.js'
export { observe } from './observe/observe.js'
export type { RequestHandler } from './observe/request-handler.js'
export type { WatchedSource, WatchedStatus } from './observe/source-watch.js'
export type { RunState } from './observe/tally.js'
export { traceSpans } from './observe/trace.js'
export {
  listQuarantine,
  type QuarantinedRow,
  type QuarantineOptions,
  type QuarantiningSink,
  type RetryOptions,
  type RetryResult,
  retryQuarantine,
} from './repair/quarantine.js'
export { type RepairOptions, type RepairResult, repair } from './repair/repair.js'
export { FanOutSink } from './sinks/fan-out/fan-out-sink.js'
export { NdjsonSink, type NdjsonSinkOptions, type NdjsonStream } from './sinks/ndjson/ndjson-sink.js'
export type { ExamineSinkOptions } from './sinks/surreal/examination.js'
export { describeMapping, type Mapping, type TargetField, type TargetTable } from './sinks/surreal/mapping.js'
export type { ExistingRecords } from './sinks/surreal/ownership.js'
export {
  type SurrealFactoryOptions,
  SurrealSink,
  type SurrealSinkOptions,
  type SurrealSinkSettings,
} from './sinks/surreal/surreal-sink.js'
export type { TargetContent } from './sinks/surreal/survey.js'
export type { AuditLimitOutcome } from './sources/postgres/audit-limit.js'
export type { PipelineStatus, SourceStatus, WriterStatus } from './sources/postgres/audit-status.js'
export type { TriggerLevel } from './sources/postgres/capture-function.js'
export type { CapturedTable } from './sources/postgres/captured-tables.js'
export type { AuditDetachment } from './sources/postgres/detachment.js'
export type { ExamineSourceOptions, SourceExamination } from './sources/postgres/examination.js'
export type { InstallScriptOptions } from './sources/postgres/install-script.js'
export type { AuditLimitPolicy, ProtectionOptions } from './sources/postgres/protection.js'
export type { SkipReason } from './sources/postgres/skipped-table.js'
export type { SnapshotMode } from './sources/postgres/snapshot.js'
export type { LeftOutTable, PlannedTable, SourcePlan } from './sources/postgres/source-plan.js'
export type { KeylessTables } from './sources/postgres/table-selection.js'
export type { ShapingOptions } from './sources/postgres/table-shape.js'
export { PostgresTriggerSource, type PostgresTriggerSourceOptions } from './sources/postgres/trigger-source.js'
export type { TableTotals } from './verify/comparison.js'
export type { Holding, SourceAccess, TargetAccess, VerifiableSource, VerifiableTarget } from './verify/sides.js'
export { type Difference, type VerifyOptions, type VerifyProgress, type VerifyResult, verify } from './verify/verify.js'
