/** What the shop's application does: one transaction each. */
import { createHash } from 'node:crypto'
import type { ClientBase } from 'pg'
import { shopSize } from './shop.js'

export interface Actor {
  readonly client: ClientBase
  /** In [0, 1). */
  readonly random: () => number
}

type Outcome = 'commit' | 'rollback'
type Transaction = (actor: Actor) => Promise<Outcome>

const transactions: readonly { readonly weight: number; readonly run: Transaction }[] = [
  { weight: 30, run: placeOrder },
  { weight: 15, run: shipOrders },
  { weight: 12, run: trackVisit },
  { weight: 10, run: changePrice },
  { weight: 10, run: changePreferences },
  { weight: 8, run: cancelOrder },
  { weight: 6, run: abandonOrder },
  { weight: 5, run: correctItem },
  { weight: 2, run: renameProduct },
  { weight: 1, run: renumberOrder },
  { weight: 1, run: forgetSearches },
]
const weightSum = transactions.reduce((sum, { weight }) => sum + weight, 0)

/** Does one of them, in a transaction that the caller has begun and ends as it is told. */
export async function randomTransaction(actor: Actor): Promise<Outcome> {
  let point = actor.random() * weightSum
  for (const { weight, run } of transactions) {
    point -= weight
    if (point < 0) return run(actor)
  }
  return 'commit'
}

async function placeOrder({ client, random }: Actor): Promise<Outcome> {
  const order = await insertOrder({ client, random })
  const lines = upTo(random, 4)
  await client.query(
    `insert into shop.order_items (order_id, line, sku, quantity, price)
     select $1, line, sku, 1 + line % 3, price
     from (select row_number() over () as line, sku, price from shop.products where sku >= $2 order by sku limit $3) chosen`,
    [order, sku(random), lines],
  )
  await client.query(
    `update shop.inventory
     set quantity = quantity - 1, counted_at = clock_timestamp()
     where warehouse = $2 and sku in (select sku from shop.order_items where order_id = $1)`,
    [order, warehouse(random)],
  )
  await client.query(
    `update shop.orders
     set total = coalesce((select sum(amount) from shop.order_items where order_id = $1), 0)
     where id = $1`,
    [order],
  )
  return 'commit'
}

async function shipOrders({ client, random }: Actor): Promise<Outcome> {
  const first = orderId(random)
  await client.query("update shop.orders set status = 'shipped', note = null where id between $1 and $2", [
    first,
    first + 4,
  ])
  return 'commit'
}

async function trackVisit({ client, random }: Actor): Promise<Outcome> {
  const payload = JSON.stringify({ at: random(), big: `${upTo(random, 2 ** 31)}`, path: ['shop', sku(random)] })
  await client.query(
    "insert into public.events (at, kind, payload) select now(), 'visit', $1 from generate_series(1, 5)",
    [payload],
  )
  await client.query('delete from public.events where id between $1 and $1 + 2', [upTo(random, shopSize.events)])
  await client.query(
    'insert into public.searches values ($1, 1) on conflict (term) do update set hits = searches.hits + 1, seen_at = now()',
    [`lamp ${upTo(random, shopSize.searches * 2)}`],
  )
  return 'commit'
}

async function changePrice({ client, random }: Actor): Promise<Outcome> {
  const values = [sku(random), (1 + random() * 400).toFixed(2)]
  const { rowCount } = await client.query('update shop.products set price = $2 where sku = $1', values)
  if (rowCount === 0) return 'rollback'
  await client.query(
    `insert into shop.prices (sku, since, valid, price)
     values ($1, current_date, daterange(current_date, null), $2)
     on conflict (sku, since) do update set price = excluded.price`,
    values,
  )
  return 'commit'
}

async function changePreferences({ client, random }: Actor): Promise<Outcome> {
  await client.query(
    `update crm.customers
     set preferences = preferences || jsonb_build_object('visits', coalesce((preferences ->> 'visits')::int, 0) + 1), tier = $2
     where id = $1`,
    [customerId(random), random() < 0.5 ? 'gold' : 'silver'],
  )
  return 'commit'
}

/** The items go with their order. */
async function cancelOrder({ client, random }: Actor): Promise<Outcome> {
  await client.query('delete from shop.orders where id = $1', [orderId(random)])
  return 'commit'
}

async function abandonOrder({ client, random }: Actor): Promise<Outcome> {
  const order = await insertOrder({ client, random })
  await client.query('delete from shop.orders where id in ($1, $2)', [order, orderId(random)])
  return 'rollback'
}

async function correctItem({ client, random }: Actor): Promise<Outcome> {
  const order = await insertOrder({ client, random })
  await client.query('savepoint before_item')
  await client.query(`insert into shop.order_items values ($1, 1, $2, 1, 9.99)`, [order, sku(random)])
  await client.query('rollback to savepoint before_item')
  await client.query("update shop.orders set note = 'nothing in it' where id = $1", [order])
  return 'commit'
}

/** Changes a key, and with it those of prices and inventory. */
async function renameProduct({ client, random }: Actor): Promise<Outcome> {
  await client.query("update shop.products set sku = sku || '-' || $2 where sku = $1", [sku(random), upTo(random, 9)])
  return 'commit'
}

async function renumberOrder({ client, random }: Actor): Promise<Outcome> {
  await client.query('update shop.orders set id = -id where id = $1', [orderId(random)])
  return 'commit'
}

async function forgetSearches({ client, random }: Actor): Promise<Outcome> {
  await client.query('truncate public.searches')
  await client.query("insert into public.searches select 'lamp ' || i, i from generate_series(1, $1) i", [
    upTo(random, 50),
  ])
  return 'commit'
}

async function insertOrder({ client, random }: Actor): Promise<string> {
  const { rows } = await client.query<{ readonly id: string }>(
    'insert into shop.orders (customer_id, placed_at) values ($1, clock_timestamp()) returning id',
    [customerId(random)],
  )
  return rows[0]?.id ?? ''
}

/** 1 to `max`. */
function upTo(random: () => number, max: number): number {
  return 1 + Math.floor(random() * max)
}

function orderId(random: () => number): number {
  return upTo(random, shopSize.orders)
}

function sku(random: () => number): string {
  return `SKU-${String(upTo(random, shopSize.products)).padStart(4, '0')}`
}

function warehouse(random: () => number): string {
  return shopSize.warehouses[upTo(random, shopSize.warehouses.length) - 1] ?? 'AMS'
}

function customerId(random: () => number): string {
  return createHash('md5')
    .update(`customer ${upTo(random, shopSize.customers)}`)
    .digest('hex')
}
