/** A random history: what three sessions and a reader do, one step after the other. */
import { Dice } from '../torture/schedule.js'
import type { Disturbance } from './disturbed-run.js'

/** How many sessions write. */
export const writerCount = 3

export type Step =
  /** A statement of a writer; it may wait for another one's lock, and the history goes on meanwhile. */
  | { readonly writer: number; readonly sql: string }
  /** What happens to the reader. */
  | { readonly reader: Disturbance | 'wait' }

const keys = 6
/** Grows with each version of a row, whoever writes it. */
const version = `nextval('versions')`

/** `put 3`, `move 3 to 4` and so on, in SQL. */
function change(dice: Dice): string {
  const [a, b] = [dice.between(1, keys), dice.between(1, keys)]
  const kind = dice.between(1, 100)
  if (kind <= 30) {
    return `insert into items values (${a}, ${version}) on conflict (id) do update set version = excluded.version`
  }
  if (kind <= 45) return `update items set version = ${version} where id in (${a}, ${b})`
  if (kind <= 60) return `delete from items where id = ${a}`
  if (kind <= 70)
    return `update items set id = ${b}, version = ${version} where id = ${a} and not exists (select from items where id = ${b})`
  if (kind <= 80) {
    return `do $$ begin
      update items set id = -id, version = ${version} where id in (${a}, ${b});
      update items set id = case -id when ${a} then ${b} else ${a} end, version = ${version} where id < 0;
    end $$`
  }
  if (kind <= 92) {
    return `insert into lines values (${a}, ${b}, ${version}) on conflict (item, place) do update set version = excluded.version`
  }
  return kind <= 96 ? `delete from lines where item = ${a}` : 'truncate lines'
}

const structures = [
  'alter table items add column if not exists extra int',
  'alter table items drop column if exists extra',
  'alter table items add column if not exists filled int not null default 7',
  'alter table items drop column if exists filled',
  'truncate items',
]

function statement(dice: Dice): string {
  const kind = dice.between(1, 100)
  if (kind <= 20) return 'begin'
  if (kind <= 38) return 'commit'
  if (kind <= 45) return 'rollback'
  if (kind <= 50) return 'savepoint here'
  if (kind <= 55) return 'rollback to savepoint here'
  return kind <= 98 ? change(dice) : dice.pick(structures)
}

/** Seldom what takes the reader long to get over: the others are what histories are about. */
function misfortune(dice: Dice): Step {
  const kind = dice.between(1, 100)
  if (kind <= 70) return { reader: 'wait' }
  if (kind <= 80) return { reader: 'cut' }
  if (kind <= 88) return { reader: 'lose' }
  if (kind <= 94) return { reader: 'twice' }
  return { reader: kind <= 97 ? 'kill' : 'restart' }
}

/** The history of this number; the same for the same seed. */
export function historyOf(seed: number, number: number): readonly Step[] {
  const dice = new Dice(seed * 1_000_003 + number)
  return Array.from({ length: dice.between(8, 30) }, (): Step => {
    if (dice.chance(0.12)) return misfortune(dice)
    return { writer: dice.between(0, writerCount - 1), sql: statement(dice) }
  })
}
