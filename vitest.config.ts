// Two projects: `unit` needs no service; `db` (*.db.test.ts) gets one PostgreSQL server from its global setup.
// `npm test` runs both, `npx vitest run --project unit` only the first.
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { SummaryReporter } from './test/support/summary-reporter.js'

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))
// The other Node versions of CI leave out what only exercises processes and signals for minutes,
// and those that exercise PostgreSQL, whose answers are the same on all of them.
const long = [
  'test/e2e/{kill-full,lease,scale,signals}.db.test.ts',
  'test/integration/{capture,coverage,ddl,interleavings,security}*.db.test.ts',
  'test/integration/{codecs,docs-commands,every-type,extremes,harmless,hostile-names,introspect,keyless,types}.db.test.ts',
  'test/integration/{audit-limit,findings,install-script,no-ddl,refusals,standby,target-faults}.db.test.ts',
]
const exclude = [...configDefaults.exclude, 'test/bench/**', ...(process.env.TEST_SHORT ? long : [])]

export default defineConfig({
  resolve: {
    alias: [
      { find: /^surreal-sync$/, replacement: file('./src/index.ts') },
      { find: /^surreal-sync\/testing$/, replacement: file('./src/testing/index.ts') },
    ],
  },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    // Deadlines of tests that wait for processes can be missed on a busy CI machine: two more tries there, which the
    // summary names, and none elsewhere.
    retry: process.env.CI ? 2 : 0,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    reporters: ['default', new SummaryReporter()],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [...exclude, '**/*.db.test.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'db',
          include: ['test/**/*.db.test.ts'],
          exclude,
          globalSetup: ['./test/support/global-setup.ts'],
        },
      },
    ],
  },
})
