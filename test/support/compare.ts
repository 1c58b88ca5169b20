/** Compares the databases of a test, row by row, independently of the product's codecs. */
import {
  type ComparisonOptions,
  type ComparisonReport,
  compareDatabases,
  describeDifference,
} from '../../src/demo/comparison.js'

export type { ComparisonOptions, ComparisonReport }

/**
 * Throws unless every row of the source is in the target as documented, and nothing else is. The message names the first
 * differences with their keys and columns.
 */
export async function expectEqualDatabases(options: ComparisonOptions): Promise<ComparisonReport> {
  const report = await compareDatabases(options)
  if (report.equal) return report
  const lines = report.examples.map((difference) => `  ${describeDifference(difference)}`)
  throw new Error(`${report.differences} of ${report.rows} rows differ:\n${lines.join('\n')}`)
}

export { compareDatabases }
