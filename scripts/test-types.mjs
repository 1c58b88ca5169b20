// `npm run test:types -- [--values 100000] [--seed N]`: the test of types with many more values than in a usual run,
// for every night. It prints its seed; the same seed makes the same values.
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'

const { values } = parseArgs({ options: { values: { type: 'string', default: '100000' }, seed: { type: 'string' } } })
process.env.TYPE_VALUES = values.values
if (values.seed !== undefined) process.env.SEED = values.seed

const vitest = await startVitest('test', ['test/integration/types.db.test.ts'], {
  run: true,
  watch: false,
  project: 'db',
})
await vitest.close()
