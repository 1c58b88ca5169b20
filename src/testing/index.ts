/** For tests of sources, sinks, checkpoint stores and pipelines. Needs no test runner. */
export { defineTable } from './define-table.js'
export { Duplicate, FailAfterWrite, type Fault, HoldResponse, Reject, RespondSlowly } from './faults.js'
export { type FaultScript, type FaultyOperation, faulty } from './faulty.js'
export { type MemoryOperation, MemorySink, type MemorySinkOptions } from './memory-sink.js'
export { type MemoryChange, MemorySource, type MemorySourceOptions } from './memory-source.js'
