/** The result of a torture run in lines, and whether it is good. */
import type { ReaderReport } from './reader.js'
import type { TortureReport } from './torture.js'

export function describeReport(report: TortureReport): { readonly lines: readonly string[]; readonly passed: boolean } {
  const { seed, version, writers, disturbances, auditRows, readers, mutants } = report
  const wrong = readers.filter(({ failures }) => failures.length > 0)
  const unseen = mutants.filter(({ failures }) => failures.length === 0)
  const passed = wrong.length === 0 && unseen.length === 0
  const lines = [
    `PostgreSQL ${version}, seed ${seed}: ${auditRows} audit rows`,
    `writers: ${describe(writers)}`,
    `disturbances: ${describe(disturbances)}`,
    ...readers.flatMap((reader) => describeReader(reader, 20)),
    ...(mutants.length === 0 ? [] : ['wrong on purpose:', ...mutants.flatMap((mutant) => describeReader(mutant, 1))]),
    passed
      ? 'passed: nothing was lost, every compared snapshot was equal, every mutant was caught'
      : `FAILED: ${[...wrong.map(({ name }) => `${name} lost changes`), ...unseen.map(({ name }) => `${name} was not caught`)].join(', ')}`,
  ]
  return { lines, passed }
}

function describeReader(report: ReaderReport, failuresMax: number): readonly string[] {
  const { name, failures, ...counts } = report
  const shown = failures.slice(0, failuresMax).map((failure) => `    ${failure}`)
  return [`  ${name}: ${failures.length} wrong; ${describe(counts)}`, ...shown]
}

function describe(counts: object): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${String(count)}`)
    .join(', ')
}
