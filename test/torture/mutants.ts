/** Readers that are wrong on purpose, in the ways that readers of audit tables usually are. The harness must see it. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Position } from '../../src/core/checkpoint.js'
import { type Gap, GapTracker } from '../../src/sources/postgres/gap-tracker.js'
import { encode } from '../../src/sources/postgres/position.js'
import type { PostgresTriggerSourceOptions } from '../../src/sources/postgres/trigger-source.js'
import { type Probe, ProbedSource, rightParts } from './probed-source.js'

/** `id > last`: numbers that become visible later are never looked for. */
class NaiveTracker extends GapTracker {
  override get gaps(): readonly Gap[] {
    return []
  }

  override get sequence(): number {
    return this.highest
  }
}

/** Believes after one poll that a missing number will never come. */
class HastyTracker extends GapTracker {
  override fence(): void {
    super.fence(new Set())
  }
}

/** Takes the highest visible number as t1, as if lower ones could not still come. */
class MaximumSource extends ProbedSource {
  readonly #url: string

  constructor(options: PostgresTriggerSourceOptions, probe: Probe) {
    super(options, probe)
    this.#url = options.url
  }

  override async position(): Promise<Position> {
    const client = new pg.Client({ connectionString: this.#url })
    await client.connect()
    try {
      const { rows } = await client.query<{ last: string }>(
        'select coalesce(max(sequence_id), 0) as last from surreal_sync_changes',
      )
      const sequence = Number(rows[0]?.last)
      return encode({ sequence, highest: sequence, gaps: [] })
    } finally {
      await client.end()
    }
  }
}

export interface Mutant {
  readonly name: string
  /** It shows only in full syncs: run one every time. */
  readonly alwaysFull: boolean
  /** See `ReaderOptions`. */
  readonly probeShare: number
  source(options: PostgresTriggerSourceOptions, probe: Probe): ProbedSource
}

export const mutants: readonly Mutant[] = [
  {
    name: 'id > last',
    alwaysFull: false,
    probeShare: 0.7,
    source: (options, probe) => new ProbedSource(options, probe, { ...rightParts, tracker: NaiveTracker }),
  },
  {
    name: 'gaps dead at the next poll',
    alwaysFull: false,
    probeShare: 0.7,
    source: (options, probe) => new ProbedSource(options, probe, { ...rightParts, tracker: HastyTracker }),
  },
  {
    name: 'no LOCK before the snapshot',
    alwaysFull: false,
    probeShare: 0.2,
    source: (options, probe) => new ProbedSource(options, probe, { ...rightParts, lock: unlocked }),
  },
  { name: 'MAX as t1', alwaysFull: true, probeShare: 1, source: (options, probe) => new MaximumSource(options, probe) },
]

/** Takes the snapshot and dawdles, as a busy reader does; nothing keeps a TRUNCATE from coming in between. */
const unlocked: typeof rightParts.lock = async (session) => {
  await session.rows('taking the snapshot', 'select pg_catalog.pg_current_snapshot()')
  await sleep(100)
}
