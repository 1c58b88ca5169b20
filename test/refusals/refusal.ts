/** What a refusal is: how it comes about, and what must not have changed by it. */
import type { SyncErrorCode } from '../../src/index.js'
import type { World } from './world.js'

export interface Refusal {
  readonly code: SyncErrorCode
  /** The code of the run's end, where it is another one: this one is its cause then. */
  readonly endsAs?: SyncErrorCode
  readonly what: string
  /** Of the command line. @defaultValue 2 */
  readonly exitCode?: number
  /**
   * What the run may have changed in the target before it was refused. `nothing`: it is the same, byte by byte. `fence`: also
   * the token by which each run locks out those before it. `state`: also the rest of the state records, as a copy that has
   * begun must.
   * @defaultValue nothing
   */
  readonly touches?: 'nothing' | 'fence' | 'state'
  /** What the sentence or the hint must say. @defaultValue anything */
  readonly says?: RegExp
  /** Changes nothing but the run's own options, so that others may be refused in the same world. @defaultValue false */
  readonly shares?: boolean
  /** Prepares everything, and returns what is then refused. */
  arrange(world: World): Promise<() => Promise<unknown>>
}
