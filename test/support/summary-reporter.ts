/** Prints one line that a script can read: every failure counts, also those that belong to no test. */
import { appendFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        // A test still pending when the run ends was never finished: its worker died or the run was cancelled.
        count[state === 'pending' ? 'failed' : state] += 1
      }
      // A file that does not load and a hook that fails have no failed test of their own.
      for (const suite of [module, ...module.children.allSuites()]) {
        if (suite.errors().length > 0) count.failed += 1
      }
    }
    const line = `vitest: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`
    console.log(line)
    const file = process.env.TEST_SUMMARY_FILE
    if (file) appendFileSync(file, `${line}\n`)
  }
}
