/** `surreal-sync resync`: has tables read again by the pipelines that follow them. */
import type { Command } from 'commander'
import { plural } from './figures.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addSourceOptions } from './options.js'
import { addPostgresql } from './postgresql-command.js'
import { printable } from './printable.js'
import type { Flags } from './settings.js'
import { sourceOf } from './source-of.js'

export function addResync(program: Command, io: CommandLineIo): void {
  const command = addPostgresql(program, {
    name: 'resync',
    summary: 'have tables read again as a whole, or followed from now on',
    example: '$ surreal-sync resync postgresql users shop.orders \\\n      --source-uri postgresql://localhost/myapp',
  }).argument('<tables...>', 'names or patterns: users, shop.*')
  addSourceOptions(command).action((tables: readonly string[]) => runResync(tables, command.opts<Flags>(), io))
}

async function runResync(tables: readonly string[], flags: Flags, io: CommandLineIo): Promise<void> {
  const source = await sourceOf(flags, io)
  await interruptible(io, async (signal) => {
    const labels = await source.resync(tables, { signal })
    io.stdout.write(`Asked for ${plural(labels.length, 'table')}: ${labels.map(printable).join(', ')}.\n`)
    io.stdout.write('Pipelines that are running copy them now, others when they run next.\n')
  })
}
