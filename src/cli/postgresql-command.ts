/** `surreal-sync NAME postgresql`: the source's kind is a word of its own. */
import type { Command } from 'commander'

export interface PostgresqlCommand {
  readonly name: string
  readonly summary: string
  /** A line that a user could type. */
  readonly example: string
}

/** Adds the command without flags and action. */
export function addPostgresql(program: Command, { name, summary, example }: PostgresqlCommand): Command {
  const group = program
    .command(name)
    .description(summary)
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', `\nExample:\n  ${example}`)
  return group
    .command('postgresql')
    .description(`PostgreSQL: ${summary}`)
    .addHelpText('after', `\nExample:\n  ${example}`)
}
