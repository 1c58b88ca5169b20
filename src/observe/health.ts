/** Whether a run is well, for supervisors and load balancers. */
import type { RunState, Tally } from './tally.js'

/** Whether a run lives, and whether its target is up to date. */
export interface Health {
  /** Not failed. A process that has died does not answer at all. */
  readonly healthy: boolean
  /** The target is known to be as the source, at most `readyLagMsMax` behind; or the run is done. */
  readonly ready: boolean
  readonly state: RunState
  /** See the metric `surreal_sync_lag_seconds`. Undefined: unknown. */
  readonly lagMs: number | undefined
  /** The code of the error that ended the run. */
  readonly error: string | undefined
}

export function healthOf({ state, failure, lag }: Tally, readyLagMsMax: number): Health {
  const lagMs = lag.ms
  const follows = state === 'incremental' && lag.measured && lagMs !== undefined && lagMs <= readyLagMsMax
  return { healthy: state !== 'failed', ready: follows || state === 'completed', state, lagMs, error: failure }
}

/** The body of `/healthz` and `/readyz`. */
export function healthAsJson({ state, lagMs, error }: Health, ok: boolean): string {
  return `${JSON.stringify({ ok, state, lag_seconds: lagMs === undefined ? undefined : lagMs / 1_000, error })}\n`
}
