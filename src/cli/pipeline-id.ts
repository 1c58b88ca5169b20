/** The id of a pipeline that was given none. */
import { createHash } from 'node:crypto'

export interface PipelineNames {
  /** The source's database. */
  readonly source: string
  readonly namespace: string
  readonly database: string
}

const lengthMax = 64
const hashLength = 8

/**
 * `<source database>_<namespace>_<database>` reduced to letters, digits, `_` and `-`, and a hash of the full names, so that
 * names that look alike after the reduction stay apart. The same for the same names, on every machine.
 */
export function pipelineId({ source, namespace, database }: PipelineNames): string {
  const names = [source, namespace, database]
  const hash = createHash('sha256').update(JSON.stringify(names)).digest('hex').slice(0, hashLength)
  const readable = names.join('_').replace(/[^A-Za-z0-9_-]/g, '_')
  return `${readable.slice(0, lengthMax - hashLength - 1)}_${hash}`
}
