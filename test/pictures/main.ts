/**
 * `npm run pictures`: takes the pictures of the live page in docs/images. They show a real run of the command line: a database of
 * fourteen tables is copied into SurrealDB while applications change it.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { createDatabase } from '../../src/demo/postgres-database.js'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { start, temporaryDirectory } from '../e2e/command.js'
import { connectionFlags } from '../e2e/flags.js'
import { withClient } from '../e2e/shop.js'
import { database, namespace, openServer } from '../e2e/target.js'
import { noBrowser, openBrowser } from '../support/browser.js'
import { startSurreal } from '../support/surreal-server.js'

interface Picture {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly scheme: 'light' | 'dark'
  readonly scale: number
}

const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url))
const followMs = Number(process.env.FOLLOW_MS ?? 75_000)

const tables: { readonly [name: string]: number } = {
  customers: 6_000,
  orders: 18_000,
  order_items: 24_000,
  products: 4_000,
  prices: 3_000,
  inventory: 4_000,
  carts: 5_000,
  payments: 16_000,
  shipments: 14_000,
  reviews: 5_000,
  sessions: 9_000,
  searches: 3_000,
  employees: 300,
  warehouses: 12,
}

const whileCopying: readonly Picture[] = [
  { name: 'live-page-dark', width: 1_180, height: 900, scheme: 'dark', scale: 1 },
  { name: 'live-page-phone-dark', width: 390, height: 844, scheme: 'dark', scale: 1.5 },
]
const whileFollowing: readonly Picture[] = [
  { name: 'live-page-light', width: 1_180, height: 900, scheme: 'light', scale: 1 },
  { name: 'live-page-phone-light', width: 390, height: 844, scheme: 'light', scale: 1.5 },
]

async function fill(url: string): Promise<void> {
  await withClient(url, async (client) => {
    for (const [name, rows] of Object.entries(tables)) {
      await client.query(`create table ${name} (id bigint primary key, label text not null, amount numeric(12, 2), state text,
        details jsonb, changed_at timestamptz not null default now())`)
      await client.query(`insert into ${name} select i, '${name} ' || i, i * 1.25, 'new',
        jsonb_build_object('n', i, 'tags', array['a', 'b' || i % 7]) from generate_series(1, ${rows}) i`)
    }
    // Has no key, so it is left out with a warning.
    await client.query('create table imports (line text); analyze')
  })
}

/** Refuses what some rows say, so that they go into quarantine. */
async function prepareTarget(url: string): Promise<void> {
  await using target = await openServer(url, { namespace, database })
  await target.db.query('DEFINE TABLE reviews SCHEMALESS; DEFINE FIELD state ON reviews ASSERT $value != "spam"')
}

/** Busy and idle times, and once a transaction that takes its time. */
async function work(url: string, signal: AbortSignal): Promise<void> {
  await withClient(url, async (client) => {
    const update = (name: string, modulus: number, remainder: number) =>
      client.query(`update ${name} set amount = amount + 1, changed_at = now() where id % ${modulus} = ${remainder}`)
    for (let round = 0; !signal.aborted; round += 1) {
      const busy = 1 + Math.sin(round / 9) + Math.sin(round / 3.7) / 2
      await update('orders', Math.round(900 / Math.max(0.1, busy)), round % 97)
      await update('order_items', Math.round(1_100 / Math.max(0.1, busy)), round % 89)
      if (round % 4 === 0) await update('sessions', 400, round % 83)
      if (round % 7 === 0) await update('payments', 700, round % 61)
      if (round % 60 === 30) await update('shipments', 12, 3)
      if (round === 40) await client.query(`update reviews set state = 'spam' where id in (7, 70, 700)`)
      await pause(300)
    }
  })
}

async function take(browser: Browser, url: string, pictures: readonly Picture[]): Promise<void> {
  for (const { name, width, height, scheme, scale } of pictures) {
    const page = await browser.newPage({
      viewport: { width, height },
      colorScheme: scheme,
      deviceScaleFactor: scale,
      locale: 'en-GB',
    })
    await page.goto(url)
    await page.locator('#tables tr').first().waitFor()
    await pause(2_500)
    await page.screenshot({ path: `${folder}${name}.png` })
    console.log(`docs/images/${name}.png`)
    await page.close()
  }
}

/** Where the machine is slow. */
async function patiently(wait: () => Promise<unknown>): Promise<void> {
  for (let time = 1; ; time += 1) {
    try {
      await wait()
      return
    } catch (error) {
      if (time === 5) throw error
    }
  }
}

if (noBrowser !== '') throw new Error(`Pictures cannot be taken: ${noBrowser}`)
await using postgres = await startPostgres()
await using surreal = await startSurreal()
await using directory = await temporaryDirectory()
const source = await createDatabase(postgres.url(), 'webshop')
await fill(source)
await prepareTarget(surreal.ws)
const browser = await openBrowser()
const stop = new AbortController()
let working = Promise.resolve()
try {
  const flags = [
    ...connectionFlags(source, surreal.ws),
    '--existing',
    'keep',
    '--quarantine',
    '--http',
    '0',
    '--id',
    'webshop',
  ]
  await using command = start(['sync', 'postgresql', ...flags], { cwd: directory.path, timeoutMs: 600_000 })
  const [, url = ''] = await command.saw(/live page at (\S+)/)
  await command.saw(/Copying \d+ tables/)
  working = work(source, stop.signal)
  await patiently(() => command.saw(/: Copied /))
  await take(browser, url, whileCopying)
  await patiently(() => command.saw(/Applying changes/))
  await pause(followMs)
  await take(browser, url, whileFollowing)
  stop.abort()
  await working
  command.kill('SIGTERM')
  await command.ended
} finally {
  stop.abort()
  await working.catch(() => undefined)
  await browser.close()
}
