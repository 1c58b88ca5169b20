/** The source, the sink and the stores that need no database keep the invariants. */
import { mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { FileCheckpointStore } from '../../src/checkpoints/file.js'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import { MemorySink, testCheckpointStore, testSink, testSource } from '../../src/testing/index.js'
import { memorySubject } from './memory-subject.js'

for (const absent of [true, false]) {
  testSource({ describe, it }, { name: `MemorySource (absent: ${absent})`, create: () => memorySubject({ absent }) })
}

for (const reads of ['rows', 'cursor'] as const) {
  for (const transactional of [false, true]) {
    testSink(
      { describe, it },
      {
        name: `MemorySink (reads ${reads}, transactional: ${transactional})`,
        transactional,
        create: () => {
          const sink = new MemorySink({ reads, transactional, inFlight: 4 })
          return {
            sink: () => sink,
            rows: async ({ label }) => sink.rows(label),
            plant: async (table, rows) => sink.plant(table, ...rows),
          }
        },
      },
    )
  }
}

testCheckpointStore(
  { describe, it },
  {
    name: 'MemoryCheckpointStore',
    create: () => {
      const store = new MemoryCheckpointStore()
      return { store: () => store }
    },
  },
)

testCheckpointStore(
  { describe, it },
  {
    name: 'FileCheckpointStore',
    create: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'surreal-sync-'))
      return {
        store: () => new FileCheckpointStore(join(directory, 'checkpoints')),
        async tear() {
          const folder = join(directory, 'checkpoints')
          for (const name of await readdir(folder)) {
            const file = join(folder, name)
            await truncate(file, Math.floor((await readFile(file)).length / 2))
          }
        },
        close: () => rm(directory, { recursive: true }),
      }
    },
  },
)
