/** An hour of load with a fault every half minute: how far behind, how large, and whether everything arrived. */
import { setTimeout as pause } from 'node:timers/promises'
import { execute, lastChange } from '../e2e/shop.js'
import { leastSquares } from './least-squares.js'
import { constants, createLedger, Tellers } from './ledger.js'
import { compareLedger } from './ledger-comparison.js'
import { Place } from './place.js'
import type { Figure, Section, SectionOptions } from './section.js'
import { SoakFaults } from './soak-faults.js'
import { createSoakTables, Heartbeat, soakActs, thinkInWaves } from './soak-load.js'
import { heapProbe, type Sample, SoakMeter } from './soak-meter.js'
import { Watcher } from './watcher.js'

const id = 'soak'
const limits = { inSyncMsMax: 60_000, megabytesPerHourMax: 1, pollMs: 100 }
const flags = ['--id', id, '--log-format', 'json']

export const soak: Section = async (options) => {
  const minutes = options.amount('minutes', { long: 60, short: 1 })
  await using place = await Place.open({ node: heapProbe })
  await createLedger(place.source)
  await createSoakTables(place.source)
  const load = { writers: 4, acts: soakActs(), thinkMs: thinkInWaves }
  await using tellers = await Tellers.begin(place.source, options.seed, load)
  await using heartbeat = new Heartbeat(place.source)
  await using watcher = new Watcher({
    ...{ url: place.target, id, everyMs: 250 },
    firstList: () => tellers.generation * constants.lists,
  })
  await using command = place.start('sync', flags, (minutes + 30) * 60_000)
  await command.saw(/"event":"caught_up"/)
  const meter = new SoakMeter(place, id, command.pid)
  const faults = new SoakFaults()
  const times = timesOf(minutes)
  const inSync: number[] = []
  for (let phase = 0; phase < times.phases; phase += 1) {
    await disturbFor(times, { place, command, meter, faults, log: options.log, number: phase })
    await tellers.rest()
    inSync.push(await secondsUntilInSync(place, meter))
    options.log(
      `phase ${phase + 1} of ${times.phases}: in sync after ${inSync.at(-1)} s; ${JSON.stringify(meter.last)}`,
    )
    await tellers.newLists()
    if (phase + 1 < times.phases) tellers.goOn()
  }
  await heartbeat[Symbol.asyncDispose]()
  await secondsUntilInSync(place, meter)
  command.kill('SIGTERM')
  const { code, stderr } = await command.ended
  const { rows, differences, failures: differing, ...lists } = await compareLedger(place.source, place.target)
  const [slope, late] = [slopeOf(meter.samples), Math.max(...inSync) * 1_000 > limits.inSyncMsMax]
  const grows = slope.megabytesPerHour - 2 * slope.standardError > limits.megabytesPerHourMax
  return {
    what: `Four applications (60 % updates, 25 % inserts, 10 % deletes, 5 % transactions of several tables) in waves, with TRUNCATE, ADD COLUMN and a fault every ${times.faultMs / 1_000} s; at the end of each phase, with the load stopped, in sync within a minute, and at the end equal. A slope of the resident set counts as growth when it is more than ${limits.megabytesPerHourMax} MB/h by two standard errors, in the long form.`,
    figures: {
      ...{
        minutes,
        transactions: tellers.count,
        faults: faults.counts,
        retries: retriesIn(stderr),
        secondsUntilInSync: inSync,
      },
      ...meter.figures(),
      rssSlopeOverTheLastHalf: { ...slope },
      ...{ rowsCompared: rows, differences, ...lists, watcher: { ...watcher.counts } },
    },
    failures: [
      ...(code === 0 ? [] : [`It ended with ${code}: ${stderr.slice(-300)}`]),
      ...(late ? [`It was in sync only after ${Math.max(...inSync)} s.`] : []),
      ...(grows && !options.short ? [`The resident set grew by ${slope.megabytesPerHour} MB/h.`] : []),
      ...differing,
      ...watcher.failures,
    ],
    versions: place.versions,
  }
}

interface Times {
  readonly phases: number
  readonly phaseMs: number
  readonly faultMs: number
  readonly sampleMs: number
  readonly truncateMs: number
  readonly columnMs: number
}

function timesOf(minutes: number): Times {
  const phases = Math.max(1, Math.round(minutes / 10))
  const phaseMs = (minutes * 60_000) / phases
  const short = minutes < 10
  return {
    ...{ phases, phaseMs, faultMs: short ? 6_000 : 30_000, sampleMs: short ? 1_000 : 5_000 },
    ...{ truncateMs: phaseMs / 2, columnMs: phaseMs * (short ? 0.6 : 1.5) },
  }
}

interface Disturbed extends Pick<SectionOptions, 'log'> {
  readonly place: Place
  readonly command: Parameters<SoakFaults['next']>[1]
  readonly meter: SoakMeter
  readonly faults: SoakFaults
  readonly number: number
}

/** One phase: everything at its time, counted from the beginning of the first one. */
async function disturbFor(times: Times, { place, command, meter, faults, log, number }: Disturbed): Promise<void> {
  const [startedAt, before] = [Date.now(), number * times.phaseMs]
  const elapsed = () => before + Date.now() - startedAt
  const every = (periodMs: number, work: () => Promise<unknown>) => {
    let next = (Math.floor(before / periodMs) + 1) * periodMs
    return async () => {
      if (elapsed() < next) return
      next += periodMs
      await work()
    }
  }
  const duties = [
    every(times.sampleMs, () => meter.sample()),
    every(times.truncateMs, () => execute(place.source, 'truncate journal')),
    every(times.columnMs, () =>
      execute(place.source, `alter table items add column extra_${number} int default ${number}`),
    ),
    every(times.faultMs, async () => log(`fault: ${await faults.next(place, command)}`)),
  ]
  while (elapsed() < before + times.phaseMs) {
    for (const duty of duties) await duty()
    await pause(limits.pollMs)
  }
}

async function secondsUntilInSync(place: Place, meter: SoakMeter): Promise<number> {
  const last = Number((await lastChange(place.source)).split(':').at(-1))
  const startedAt = Date.now()
  while ((await meter.position()) < last) {
    if (Date.now() - startedAt > 3 * limits.inSyncMsMax) throw new Error('It does not come into step.')
    await pause(limits.pollMs)
  }
  return (Date.now() - startedAt) / 1_000
}

/** Of the last half, in which nothing should become larger any more. */
function slopeOf(samples: readonly Sample[]): { readonly megabytesPerHour: number; readonly standardError: number } {
  const half = samples.slice(Math.floor(samples.length / 2))
  const { slope, error } = leastSquares(
    half.map(({ atMs, rssMegabytes }) => ({ x: atMs / 3_600_000, y: rssMegabytes })),
  )
  return { megabytesPerHour: Math.round(slope * 100) / 100, standardError: Math.round(error * 100) / 100 }
}

function retriesIn(log: string): Figure {
  const counts: Record<string, number> = {}
  for (const line of log.split('\n')) {
    const [, code = 'other'] = /"event":"retry".*"code":"(\w+)"/.exec(line) ?? []
    if (line.includes('"event":"retry"')) counts[code] = (counts[code] ?? 0) + 1
  }
  return counts
}
