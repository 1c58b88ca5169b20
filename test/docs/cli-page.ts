/** docs/cli.md, made of what every command says of itself. */
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import type { Command } from 'commander'
import { systemClock } from '../../src/cli/clock.js'
import { main } from '../../src/cli/command-line.js'
import type { CommandLineIo } from '../../src/cli/io.js'
import { createProgram } from '../../src/cli/program.js'

/** One command, with its help. */
export interface Help {
  /** `surreal-sync full postgresql` */
  readonly name: string
  readonly text: string
  /** What it has below itself. */
  readonly commands: readonly string[]
}

function recording(): { readonly io: CommandLineIo; readonly text: () => string } {
  const stdout = new PassThrough()
  const exit = () => {
    throw new Error('Help does not end a process.')
  }
  const io = { stdout, stderr: new PassThrough(), env: {}, signals: new EventEmitter(), exit, clock: systemClock }
  return { io, text: () => String(stdout.read() ?? '') }
}

/** Of every command that there is, however deep, from the program on. */
export async function helpOfAll(): Promise<readonly Help[]> {
  const found: Help[] = []
  const visit = async (command: Command, path: readonly string[]) => {
    const { io, text } = recording()
    await main([...path, '--help'], io)
    const name = ['surreal-sync', ...path].join(' ')
    found.push({ name, text: text(), commands: command.commands.map((one) => one.name()) })
    for (const one of command.commands) await visit(one, [...path, one.name()])
  }
  await visit(createProgram(recording().io), [])
  return found
}

/** The page. Commands that have nothing but one command below them say nothing that it does not say. */
export async function cliPage(): Promise<string> {
  const all = (await helpOfAll()).filter(({ commands }) => commands.length !== 1)
  const sections = all.map(({ name, text }) => `## ${name}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`)
  return `# Command line

What every command says with \`--help\`; \`npm run docs:cli\` writes this page, and a test compares. Every flag has a key of the same
name in the [config file](configuration.md) unless it says what one run does.

${sections.join('\n')}`
}
