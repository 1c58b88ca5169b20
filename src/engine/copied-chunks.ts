/** What is durable of a full sync: tables whose old rows are gone, and chunks. Outlives the run in its checkpoints. */
import { createHash } from 'node:crypto'
import type { Table } from '../core/schema.js'
import type { Chunk } from '../core/source.js'
import type { EngineSettings } from './options.js'

/** A table, cut into chunks. */
export interface CutTable {
  readonly table: Table
  readonly chunks: readonly Chunk[]
  /** See {@link shapeOf}. */
  readonly shape: string
}

const hashLength = 12

/** The table, its shape, and which chunk. */
const chunkParts = 3

export class CopiedChunks {
  readonly #entries: Set<string>

  /** @param saved the {@link CopiedChunks.entries} of an earlier run */
  constructor(saved: readonly string[] = []) {
    this.#entries = new Set(saved)
  }

  /** For checkpoints. */
  get entries(): readonly string[] {
    return [...this.#entries]
  }

  has({ table, shape }: CutTable, { id }: Chunk): boolean {
    return this.#entries.has(entry(table, shape, id))
  }

  add({ table, shape }: CutTable, { id }: Chunk): void {
    this.#entries.add(entry(table, shape, id))
  }

  /** Whether the rows that the source does not have are gone. Not if the table has been cut in another way by then. */
  isReplaced(cut: CutTable): boolean {
    return this.#entries.has(replacedEntry(cut))
  }

  addReplaced(cut: CutTable): void {
    this.#entries.add(replacedEntry(cut))
  }

  /**
   * Forgets all that does not fit these tables as they are now. To be made durable before any of them is replaced.
   * @param isEmptied Whether what was copied of a table has been removed.
   * @returns the tables that must be copied from the start although something of them had been copied
   */
  keep(cuts: readonly CutTable[], isEmptied: (table: Table) => boolean = () => false): readonly Table[] {
    const fitting = new Set<string>()
    const copied = new Set([...this.#entries].filter(isChunk).map(labelOf))
    for (const cut of cuts) {
      if (!this.isReplaced(cut) || (copied.has(cut.table.label) && isEmptied(cut.table))) continue
      fitting.add(replacedEntry(cut))
      for (const { id } of cut.chunks) fitting.add(entry(cut.table, cut.shape, id))
    }
    const begun = new Set([...this.#entries].map(labelOf))
    for (const one of this.#entries) if (!fitting.has(one)) this.#entries.delete(one)
    return cuts.filter((cut) => begun.has(cut.table.label) && !this.isReplaced(cut)).map(({ table }) => table)
  }

  clear(): void {
    this.#entries.clear()
  }
}

/**
 * Changes whenever the same row would be written in another way: with other options of the source or the sink, another
 * structure, or transforms of another text. What a transform takes from elsewhere does not show in its text.
 */
export function shapeOf(table: Table, { source, sink, transforms }: EngineSettings): string {
  const { columns, key } = table
  const parts = [
    columns.map(({ name, sourceType }) => [name, sourceType]),
    key.map(({ name }) => name),
    source.shape?.(table) ?? '',
    sink.shape?.(table) ?? '',
    transforms.map(String),
    JSON.stringify(table.shape, (_, value: unknown) => (typeof value === 'function' ? String(value) : value)) ?? '',
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, hashLength)
}

function entry({ label }: Table, ...parts: readonly string[]): string {
  return JSON.stringify([label, ...parts])
}

/** Other chunks mean other rows, so a table that is cut in another way has not been replaced. */
function replacedEntry({ table, shape, chunks }: CutTable): string {
  return entry(table, shape, chunks[0]?.id ?? '', 'replaced')
}

function isChunk(text: string): boolean {
  return partsOf(text).length === chunkParts
}

function labelOf(text: string): string | undefined {
  return partsOf(text)[0]
}

/** None of what another version wrote in another form. */
function partsOf(text: string): readonly string[] {
  try {
    const parts: unknown = JSON.parse(text)
    return Array.isArray(parts) && parts.every((part) => typeof part === 'string') ? parts : []
  } catch {
    return []
  }
}
