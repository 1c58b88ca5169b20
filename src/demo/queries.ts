/** A few questions to the replicated shop, with their answers. */
import type { Surreal } from 'surrealdb'
import { decodeCbor } from '../verify/cbor-reader.js'
import { printValue, type SurrealValue } from '../verify/surreal-value.js'
import type { Screen } from './screen.js'

const queries = [
  'select status, count() as orders, math::sum(total) as total from orders group by status order by orders desc',
  "select name, price, attributes.color as color from products where 'wool' in tags and on_sale order by price desc limit 2",
  "select id, quantity from inventory:['OSL', 'SKU-0400']..['OSL', 'SKU-0402']",
]

/** Asks them and shows what comes back. */
export async function showQueries(target: Surreal, screen: Screen): Promise<void> {
  screen.line()
  screen.line('Some SurrealQL that now works:')
  for (const query of queries) {
    const [bytes] = await target.query<[ArrayBuffer]>(`return encoding::cbor::encode((${query}))`)
    screen.line()
    screen.line(`  ${screen.paint('cyan', query)}`)
    for (const row of rowsOf(decodeCbor(new Uint8Array(bytes)))) screen.line(`  ${printValue(row)}`)
  }
}

function rowsOf(value: SurrealValue): readonly SurrealValue[] {
  return value.kind === 'array' ? value.elements : [value]
}
