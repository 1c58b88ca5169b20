/** What the compiler says of the functions of a shape. */
import { expect, expectTypeOf, it } from 'vitest'
import { defineShape, PostgresTriggerSource, type Row, type TableShape, type Transform } from '../../src/index.js'

interface User {
  readonly id: number
  readonly name: string | null
  readonly balance: string
}

it('gives the functions of a shape the columns of their table', () => {
  const shape = defineShape<User>({
    mask: { balance: 'null' },
    compute: {
      initial: (user) => {
        expectTypeOf(user).toEqualTypeOf<User>()
        return user.name?.slice(0, 1) ?? null
      },
      // @ts-expect-error There is no such column.
      other: (user) => user.nme,
      sql: { sql: 'upper(name)' },
    },
    transform: (users) => users.map((user) => (user.name === null ? null : { ...user, name: user.name.trim() })),
  })
  expectTypeOf(shape).toEqualTypeOf<TableShape>()
  const initial = shape.compute?.initial
  expect(typeof initial === 'function' && initial({ id: 1, name: 'Ada', balance: '1' }, { ...table })).toBe('A')
  expect(new PostgresTriggerSource({ url: 'postgresql://localhost/a', shaping: { users: shape } }).name).toBe(
    'postgresql',
  )
})

it('refuses rows that hold what no column can', () => {
  // @ts-expect-error A function is no value.
  defineShape<{ readonly work: () => void }>({})
  expectTypeOf<Transform>().parameter(0).toEqualTypeOf<readonly Row[]>()
  expectTypeOf<Transform<User>>().parameter(0).toEqualTypeOf<readonly User[]>()
})

const table = { schema: 'public', name: 'users', label: 'public.users', columns: [], key: [] }
