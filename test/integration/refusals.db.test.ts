/** Every refusal that there is comes about, says what to do, shows no value, and leaves the target as it was. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeError } from '../../src/cli/error-report.js'
import { SyncError } from '../../src/core/errors.js'
import { atStart } from '../refusals/at-start.js'
import { onTheWay } from '../refusals/on-the-way.js'
import type { Refusal } from '../refusals/refusal.js'
import { canary, World, wrongPassword } from '../refusals/world.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

let server: SurrealServer
/** For refusals that need no other. */
let common: World
beforeAll(async () => {
  server = await startSurreal()
  common = await World.open(server)
})
afterAll(async () => {
  await common[Symbol.asyncDispose]()
  await server.stop()
})

const titled = (refusals: readonly Refusal[]) =>
  refusals.map((refusal) => [refusal.code, refusal.what, refusal] as const)

describe('a run is refused, and the target is as it was:', () => {
  it.each(titled([...atStart, ...onTheWay]))('%s for %s', async (code, __, refusal) => {
    const world = refusal.shares ? common : await World.open(server)
    await using _ = refusal.shares ? undefined : world
    const provoke = await refusal.arrange(world)
    const before = comparable(await world.observe(), refusal)
    const error = await provoke().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!(error instanceof SyncError)) throw new Error(`It was not refused: ${inspect(error)}`)
    const after = comparable(await world.observe(), refusal)
    const { message, hint = '', exitCode, code: reported } = describeError(error)
    expect({ code: reported, message }).toEqual({ code: refusal.endsAs ?? code, message })
    if (refusal.endsAs !== undefined) expect(error.cause).toMatchObject({ code })
    expect(after).toEqual(before)
    expect(exitCode).toBe(refusal.exitCode ?? 2)
    expect(`${message}\n${hint}`).toMatch(refusal.says ?? /./)
    expect(hint, `${message}: what to do`).not.toBe('')
    const shown = inspect(error, { depth: 10, showHidden: true }) + message + hint
    for (const secret of [canary, wrongPassword, new URL(world.url).password]) expect(shown).not.toContain(secret)
  })
})

it('that is every code there is', () => {
  const source = readFileSync(fileURLToPath(new URL('../../src/core/errors.ts', import.meta.url)), 'utf8')
  const codes = [...source.matchAll(/^ {2}(E_[A-Z_]+): (?:true|false),$/gm)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(30)
  const provoked = new Set<string>([...atStart, ...onTheWay].map(({ code }) => code))
  expect(codes.filter((code) => !provoked.has(code ?? ''))).toEqual([])
})

/** What tells runs apart, and nothing else, is left out of the state records. */
function comparable(seen: ReadonlyMap<string, string>, { touches = 'nothing' }: Refusal): ReadonlyMap<string, string> {
  const state = seen.get('surreal_sync_state')
  if (touches === 'nothing' || state === undefined) return seen
  const fenceless = state.replaceAll(/\b(token|lease): '[^']*'|written_at: d'[^']*'/g, '')
  return new Map([...seen, ['surreal_sync_state', touches === 'state' ? '' : fenceless]])
}
