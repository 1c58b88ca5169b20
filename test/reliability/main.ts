/**
 * `npm run reliability -- kills|crashes|twins|soak|backlog|histories [--short] [--seed N] [--cycles N] [--minutes N] [--changes N] [--gigabytes N] [--report FILE]`
 *
 * Runs one section, merges what came out into reports/reliability.json, and ends with 0 if it passed. A short form never
 * replaces the long one there.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { addToReport } from './report.js'
import { amountNames, type Section } from './section.js'

const sections: Readonly<Record<string, Section>> = {
  backlog: async (options) => (await import('./backlog.js')).backlog(options),
  crashes: async (options) => (await import('./crashes.js')).crashes(options),
  mutants: async (options) => (await import('./mutation.js')).mutation(options),
  reads: async (options) => (await import('./reads.js')).reads(options),
  histories: async (options) => (await import('./histories.js')).histories(options),
  kills: async (options) => (await import('./kills.js')).kills(options),
  soak: async (options) => (await import('./soak.js')).soak(options),
  twins: async (options) => (await import('./twins.js')).twins(options),
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    short: { type: 'boolean', default: false },
    report: { type: 'string', default: fileURLToPath(new URL('../../reports/reliability.json', import.meta.url)) },
    ...Object.fromEntries(amountNames.map((name) => [name, { type: 'string' as const }])),
  },
})
const [name = ''] = positionals
const run = Object.hasOwn(sections, name) ? sections[name] : undefined
if (run === undefined || positionals.length !== 1) {
  throw new Error(`Name one section: ${Object.keys(sections).join(', ')}`)
}
const { seed = Date.now() % 1_000_000, short, report, ...amounts } = values as Values
const passed = await addToReport({
  ...{ name, short, file: report },
  seed: Number(seed),
  command: ['npm run reliability --', ...process.argv.slice(2)].join(' '),
  run: (log) =>
    run({
      seed: Number(seed),
      short,
      amount: (what, { long, short: few }) => Number(amounts[what] ?? (short ? few : long)),
      log,
    }),
})
// An embedded engine may keep threads.
process.exit(passed ? 0 : 1)

type Values = { readonly [amount in (typeof amountNames)[number]]?: string } & {
  readonly seed?: string
  readonly short: boolean
  readonly report: string
}
