/** A database in files takes the same command as a server, whether or not it has a user of that name. */
import { join } from 'node:path'
import { createNodeEngines } from '@surrealdb/node'
import { Surreal } from 'surrealdb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Directory, surrealSync, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { execute } from './shop.js'
import { database, namespace } from './target.js'

let source: TestDatabase
let directory: Directory

beforeAll(async () => {
  source = await createDatabase()
  await execute(source.url, 'create table users (id bigint primary key); insert into users values (1), (2)')
  directory = await temporaryDirectory()
})

afterAll(async () => {
  await source[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

async function ask(url: string, text: string) {
  const db = new Surreal({ engines: createNodeEngines() })
  try {
    await db.connect(url, { reconnect: false })
    await db.use({ namespace, database })
    return await db.query(text).json()
  } finally {
    await db.close()
  }
}

/** What the command is given. */
const root = { username: 'root', password: 'root' }

test('root and root are accepted on a new path and on one with users', async () => {
  for (const [users, define] of Object.entries({
    none: undefined,
    same: `define user root on root password 'root' roles owner`,
    another: `define user root on root password 'another' roles owner`,
  })) {
    const url = `surrealkv://${join(directory.path, users)}`
    if (define !== undefined) await ask(url, define)
    const args = ['postgresql', ...connectionFlags(source.url, url), '--id', users]
    for (const command of [['full'], ['sync', '--timeout', '1s']]) {
      const ended = await surrealSync([command[0] ?? '', ...args, ...command.slice(1)], { cwd: directory.path })
      expect(ended.stderr).not.toMatch(/^(error|hint):/m)
      expect(ended.code).toBe(0)
    }
    expect(await ask(url, 'select value record::id(id) from users')).toEqual([[1, 2]])
  }
})

// What the sink relies on: if this changes, users and passwords have to be used.
test('the engine itself asks nobody for a password, and refuses one where there are no users', async () => {
  const db = new Surreal({ engines: createNodeEngines() })
  try {
    await db.connect('mem://', { reconnect: false })
    await db.use({ namespace, database })
    expect(await db.query('create users:1 return value 1')).toEqual([[1]])
    await expect(db.signin(root)).rejects.toThrow(/authentication/)
    await db.query(`define user root on root password 'root' roles owner`)
    await expect(db.signin({ ...root, password: 'another' })).rejects.toThrow(/authentication/)
    await db.signin(root)
  } finally {
    await db.close()
  }
})
