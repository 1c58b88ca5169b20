/** Whether the tests can see: each of the known bugs is built in, one at a time, and must make one of them fail. */

import { mutants } from './mutants.js'
import { MutatedBuild } from './mutated-build.js'
import type { Section } from './section.js'

export const mutation: Section = async ({ amount, log }) => {
  await using build = await MutatedBuild.open()
  const some = mutants.slice(0, amount('runs', { long: mutants.length, short: 4 }))
  const caught: { [name: string]: string } = {}
  const failures: string[] = []
  const sound = await build.test(some.map(({ caughtBy }) => caughtBy))
  log(`${sound.length} tests ran without any of them, ${sound.filter(({ passed }) => !passed).length} failed`)
  for (const { name, changes, caughtBy } of some) {
    const before = sound.filter(({ file, title }) => file === caughtBy.file && new RegExp(caughtBy.named).test(title))
    if (before.length === 0 || before.some(({ passed }) => !passed)) {
      failures.push(`${name}: the tests that shall catch it do not pass without it`)
      continue
    }
    const mend = await build.alter(changes)
    const [failed] = (await build.test([caughtBy])).filter(({ passed }) => !passed)
    await mend()
    log(`${name}: ${failed === undefined ? 'NOT caught' : `caught by "${failed.title}"`}`)
    if (failed === undefined) failures.push(`${name}: not caught by ${caughtBy.file}`)
    else caught[name] = `${failed.file}: ${failed.title}`
  }
  return {
    what: 'Copies of the product with one bug each, built in by replacing a text: a test that passes without it must fail.',
    figures: { mutants: some.length, caught: Object.keys(caught).length, by: caught },
    failures,
  }
}
