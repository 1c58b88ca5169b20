/**
 * Prints one line that a script can read: every failure counts, also those that belong to no test. The file of
 * `TEST_SUMMARY_FILE` gets it too, and before it a line or more for each failure.
 */
import { appendFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from 'vitest/node'

const MESSAGE_LINES_MAX = 12

export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    const lines = unhandledErrors.map((error) => described('outside of any test', [error]))
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result()
        // A test still pending when the run ends was never finished: its worker died or the run was cancelled.
        count[state === 'pending' ? 'failed' : state] += 1
        if (state === 'failed' || state === 'pending') lines.push(described(named(test), errors ?? []))
        else if (test.diagnostic()?.flaky) lines.push(`not at the first try: ${named(test)}`)
      }
      // A file that does not load and a hook that fails have no failed test of their own.
      for (const suite of [module, ...module.children.allSuites()]) {
        const errors = suite.errors()
        if (errors.length === 0) continue
        count.failed += 1
        lines.push(described(named(suite), errors))
      }
    }
    lines.push(`vitest: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
    console.log(lines.at(-1))
    const file = process.env.TEST_SUMMARY_FILE
    if (file) appendFileSync(file, `${lines.join('\n')}\n`)
  }
}

function named(entity: TestModule | TestSuite | TestCase): string {
  if (entity.type === 'module') return relative(process.cwd(), entity.moduleId)
  return `${named(entity.module)} > ${entity.fullName}`
}

function described(name: string, errors: readonly { message: string; stacks?: readonly object[] }[]): string {
  const messages = errors.map(({ message, stacks }) => {
    const at = stacks?.[0] as { file: string; line: number } | undefined
    const place = at ? [`at ${relative(process.cwd(), at.file)}:${at.line}`] : []
    return [...message.split('\n').slice(0, MESSAGE_LINES_MAX), ...place].map((line) => `  ${line}`).join('\n')
  })
  // Each try has failed in its own way, or all in the same.
  return [`failed: ${name}`, ...new Set(messages)].join('\n')
}
