/** What a run wrote of itself into the source: {@link Consumer.report}. */
import type { RunReport, TableReport } from '../../core/source.js'
import type { PipelineStatus } from './audit-status.js'

type Reported = Pick<PipelineStatus, 'phase' | 'tables' | 'lastError'>

interface Stored extends Pick<PipelineStatus, 'phase'> {
  readonly tables?: readonly (readonly [label: string, state: TableReport['state'], rows: number])[]
  readonly error?: PipelineStatus['lastError']
}

/** As JSON. What it does not say of errors stays as it was. */
export function writeReport({ phase, tables, error }: RunReport): string {
  const stored: Stored = {
    phase,
    tables: tables.map(({ label, state, rows }) => [label, state, rows] as const),
    ...(error === undefined ? {} : { error: { code: error, at: new Date().toISOString() } }),
  }
  return JSON.stringify(stored)
}

export function readReport(text: string | null | undefined): Reported {
  const { phase, tables = [], error }: Stored = text == null ? {} : JSON.parse(text)
  const reports = tables.map(([label, state, rows]) => ({ label, state, rows }))
  return { phase, tables: reports.sort((a, b) => (a.label < b.label ? -1 : 1)), lastError: error }
}
