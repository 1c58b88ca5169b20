/** A memory source as the kit for sources wants it. */
import {
  defineTable,
  type MemoryChange,
  MemorySource,
  type MemorySourceOptions,
  type SourceSubject,
} from '../../src/testing/index.js'

const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
const orders = defineTable('public.orders', { tenant: 'text', number: 'integer', note: 'text' }, ['tenant', 'number'])

export function memorySubject(
  options: Partial<MemorySourceOptions> = {},
  wrap: (source: MemorySource) => ReturnType<SourceSubject['source']> = (source) => source,
): SourceSubject {
  const memory = new MemorySource({ tables: [users, orders], ...options })
  return {
    source: () => wrap(memory),
    commit: async (changes) =>
      memory.commit(...changes.map((change): MemoryChange => ({ ...change, table: `public.${change.table}` }))),
  }
}
