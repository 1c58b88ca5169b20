/** The workflows and issue forms are what the forge expects, and name only what exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { repository } from './markdown.js'

const folder = (name: string) =>
  readdirSync(join(repository, '.github', name))
    .filter((file) => file.endsWith('.yml'))
    .map((file) => ({ file, content: parse(readFileSync(join(repository, '.github', name, file), 'utf8')) }))

interface Step {
  readonly run?: string
  readonly uses?: string
}

const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))

describe('workflows', () => {
  it.each(folder('workflows'))('$file may read the code, and runs scripts that exist', ({ content }) => {
    expect(content.permissions).toEqual({ contents: 'read' })
    for (const job of Object.values<{ 'timeout-minutes': number; steps: readonly Step[] }>(content.jobs)) {
      expect(job['timeout-minutes']).toBeGreaterThan(0)
      for (const { run = '', uses } of job.steps) {
        expect(uses === undefined || /^[\w-]+\/[\w-]+@v\d+$/.test(uses), uses).toBe(true)
        for (const [, script = ''] of run.matchAll(/npm run ([\w:-]+)/g)) expect(scripts).toHaveProperty([script])
        if (run.startsWith('.ci/')) expect(existsSync(join(repository, run))).toBe(true)
      }
    }
  })

  it('release publishes what was tested, with provenance and without a token', () => {
    const { jobs } = folder('workflows').find(({ file }) => file === 'release.yml')?.content ?? {}
    expect(jobs.release.permissions).toEqual({ contents: 'read', 'id-token': 'write' })
    const runs = jobs.release.steps.map(({ run }: Step) => run ?? '')
    expect(runs.indexOf('.ci/run')).toBeLessThan(
      runs.findIndex((run: string) => run.includes('npm publish --provenance')),
    )
    expect(JSON.stringify(jobs)).not.toMatch(/NODE_AUTH_TOKEN|secrets\./)
  })
})

it('issue forms have a name, a description and questions with ids of their own', () => {
  const forms = folder('ISSUE_TEMPLATE').filter(({ file }) => file !== 'config.yml')
  expect(forms.length).toBeGreaterThan(0)
  for (const { content } of forms) {
    expect(content).toMatchObject({ name: expect.any(String), description: expect.any(String) })
    const ids = content.body.map(({ id }: { id: string }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  }
})
