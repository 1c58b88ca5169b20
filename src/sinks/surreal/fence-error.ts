/** What it means that a transaction found other state records than it expects. */

import { isMissingTable, isUnselected, thrownText } from '../../connections/surreal/errors.js'
import { SyncError } from '../../core/errors.js'
import { fencedText, stateTable } from './statements.js'

/** Undefined: the transaction failed of something else. */
export function fenceError(failure: unknown, pipeline: string): SyncError | undefined {
  const thrown = thrownText(failure)
  const fenced = thrown?.startsWith(fencedText) === true
  if (fenced && !thrown.endsWith('missing')) {
    return new SyncError('E_LEASE_LOST', `Another run took over the pipeline ${pipeline}`, {
      hint: 'This run has stopped and changes nothing any more. Do not start it again while the other one runs.',
      cause: failure,
    })
  }
  if (!fenced && !isMissingTable(failure, stateTable) && !isUnselected(failure)) return undefined
  return new SyncError('E_STATE_MISSING', `The state of the pipeline ${pipeline} is gone from SurrealDB`, {
    hint: 'If the database was emptied or replaced, run a full sync again.',
    cause: failure,
  })
}
