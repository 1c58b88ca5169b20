/** Runs a conformance kit without a test runner, to see what it says of something broken. */
import { InvariantError, type TestRunner } from '../../src/testing/index.js'

/** What a kit found: the invariants that it named, and all messages. */
export interface Findings {
  readonly invariants: readonly string[]
  readonly messages: readonly string[]
  /** How many tests passed. */
  readonly passed: number
}

export async function runKit(kit: (runner: TestRunner) => void): Promise<Findings> {
  const tests: (() => Promise<void>)[] = []
  kit({ describe: (_name, body) => body(), it: (_name, body) => tests.push(body) })
  const errors: unknown[] = []
  for (const test of tests) {
    try {
      await test()
    } catch (error) {
      errors.push(error)
    }
  }
  return {
    invariants: errors.map((error) => (error instanceof InvariantError ? error.invariant : 'none')),
    messages: errors.map((error) => (error instanceof Error ? error.message : String(error))),
    passed: tests.length - errors.length,
  }
}
