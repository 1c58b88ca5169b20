/** The live page of a real run, in a real browser. What the page works out is tested without one, in test/unit. */
import { expect, it } from 'vitest'
import { browserPath, noBrowser, openBrowser } from '../support/browser.js'
import { createDatabase } from '../support/database.js'
import { parseMetrics, valueOfSample } from '../support/prometheus.js'
import { startSurreal } from '../support/surreal-server.js'
import { start, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { execute } from './shop.js'

const canary = 'canary-77ad'
const hostile = 'a"><img src=x onerror=document.title=1>'
const setup = `create table users (id int primary key, name text);
  create table "${hostile.replaceAll('"', '""')}" (id int primary key);
  insert into users select i, '${canary}' from generate_series(1, 500) i`

it(`serves what the run does, and the page shows it${noBrowser && ` (the page is left out: ${noBrowser})`}`, async () => {
  await using database = await createDatabase()
  await using target = await startSurreal()
  await using directory = await temporaryDirectory()
  await execute(database.url, setup)
  const flags = ['sync', 'postgresql', ...connectionFlags(database.url, target.ws), '--http', '0', '--id', 'shop']
  await using command = start(flags, { cwd: directory.path })
  const [, url = ''] = await command.saw(/INFO .*: Metrics, health and a live page at (http:\/\/127\.0\.0\.1:\d+\/)/)
  await command.saw(/Caught up/)
  expect((await fetch(`${url}readyz`)).status).toBe(200)
  const text = await (await fetch(`${url}metrics`)).text()
  expect(valueOfSample(parseMetrics(text), 'surreal_sync_rows_total', { table: 'public.users', phase: 'full' })).toBe(
    500,
  )
  expect(text).not.toContain(canary)
  if (browserPath !== undefined) await look(url, database.url)
  command.kill('SIGTERM')
  expect(await command.ended).toMatchObject({ code: 0 })
  await expect(fetch(url)).rejects.toThrow()
})

async function look(url: string, source: string): Promise<void> {
  const browser = await openBrowser()
  try {
    const page = await browser.newPage({ viewport: { width: 360, height: 740 } })
    const complaints: string[] = []
    const requests: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(url)
    const state = page.locator('#state')
    await expect.poll(() => state.textContent(), { timeout: 15_000 }).toBe('in step')
    expect(await page.locator('#name').textContent()).toBe('shop')
    const rows = page.locator('#tables tr')
    expect(await rows.count()).toBe(2)
    expect(await rows.first().locator('td').first().textContent()).toBe(`public.${hostile}`)
    await execute(source, `update users set name = '${canary} 2' where id <= 40`)
    await expect.poll(() => rows.last().locator('.number').first().textContent(), { timeout: 15_000 }).toBe('40')
    await expect.poll(() => page.locator('#lag-plot svg').count(), { timeout: 15_000 }).toBe(1)
    expect(await page.locator('#checkpoints li').count()).toBeGreaterThanOrEqual(3)
    // Nothing is cut off or to be scrolled sideways on a small phone.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
    const light = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).not.toBe(light)
    expect(await page.content()).not.toContain(canary)
    expect(await page.title()).toMatch(/^in step|^following/)
    expect(complaints).toEqual([])
    const others = requests.filter((request) => !request.startsWith(url) && !request.startsWith('data:'))
    expect(others).toEqual([])
  } finally {
    await browser.close()
  }
}
