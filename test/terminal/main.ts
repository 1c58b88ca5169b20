/**
 * `npm run terminal`: runs every command in a real terminal (tmux), resizes it while forty tables are copied, interrupts it, and
 * runs the same without a terminal. Checks what is seen, and writes it to docs/terminal.md.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDatabase } from '../../src/demo/postgres-database.js'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { commandLine, startProgram, temporaryDirectory } from '../e2e/command.js'
import { withClient } from '../e2e/shop.js'
import { database, namespace } from '../e2e/target.js'
import { startSurreal } from '../support/surreal-server.js'

const session = `surreal-sync-${process.pid}`
const waitMsMax = 120_000
const page: string[] = []

const tmux = (...args: string[]) => execFileSync('tmux', ['-L', session, ...args], { encoding: 'utf8' })
const screen = () => tmux('capture-pane', '-p', '-t', 'main').trimEnd()
const everything = () => tmux('capture-pane', '-p', '-J', '-S', '-', '-t', 'main').trimEnd()

function check(what: string, holds: boolean): void {
  if (!holds) throw new Error(`Not so: ${what}\n${screen()}`)
  console.log(`ok  ${what}`)
}

async function see(pattern: RegExp): Promise<string> {
  const deadline = Date.now() + waitMsMax
  for (;;) {
    const text = everything()
    if (pattern.test(text)) return text
    if (Date.now() > deadline) throw new Error(`Not seen: ${pattern}\n${text}`)
    await pause(100)
  }
}

function show(title: string, text: string): void {
  // What is another at each run is of no interest.
  const steady = text
    .replaceAll(/127\.0\.0\.1:\d+/g, 'localhost')
    .replace(/^.*EXIT \d+$/m, '')
    .trimEnd()
  page.push(`## ${title}\n\n\`\`\`text\n${steady}\n\`\`\`\n`)
}

async function fill(url: string): Promise<void> {
  await withClient(url, async (client) => {
    for (let table = 1; table <= 40; table += 1) {
      const rows = table % 8 === 0 ? 12_000 : 1_500
      await client.query(`create table table_${table} (id bigint primary key, label text, amount numeric(12, 2))`)
      await client.query(`insert into table_${table} select i, 'row ' || i, i * 1.5 from generate_series(1, ${rows}) i`)
    }
    await client.query('analyze')
  })
}

const lines = (text: string) => text.split('\n')

await using postgres = await startPostgres()
await using surreal = await startSurreal()
await using directory = await temporaryDirectory()
const source = await createDatabase(postgres.url(), 'forty')
await fill(source)
const env = {
  SOURCE_URI: source,
  SURREAL_ENDPOINT: surreal.ws,
  SURREAL_USERNAME: 'root',
  SURREAL_PASSWORD: 'root',
}
const target = ['--to-namespace', namespace, '--to-database', database, '--id', 'forty']
const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'`)
const program = [process.execPath, ...commandLine].map((part) => `'${part}'`).join(' ')

async function type(command: string): Promise<void> {
  tmux('send-keys', '-t', 'main', `clear; tmux -L ${session} clear-history; ${command}; echo EXIT $?`, 'Enter')
  await pause(300)
}

/** Types it, waits for its end, and returns what it printed. */
async function run(command: string, code = 0): Promise<string> {
  await type(`surreal-sync ${command}`)
  const text = await see(/^EXIT \d+$/m)
  check(`${command.split(' --')[0]} ends with ${code}`, text.includes(`EXIT ${code}`))
  return text
}

try {
  tmux(
    '-f',
    '/dev/null',
    'new-session',
    '-d',
    '-s',
    'main',
    '-x',
    '100',
    '-y',
    '24',
    'env',
    '-i',
    `PATH=${process.env.PATH}`,
    'TERM=xterm-256color',
    'LANG=C.UTF-8',
    'PS1=$ ',
    'bash',
    '--norc',
  )
  for (const line of exports) tmux('send-keys', '-t', 'main', line, 'Enter')
  tmux('send-keys', '-t', 'main', `cd ${directory.path}; surreal-sync() { ${program} "$@"; }`, 'Enter')
  show('plan', await run(`plan postgresql --tables table_1,table_8 ${target.join(' ')}`))
  show('check', await run(`check postgresql --tables table_1,table_8 ${target.join(' ')}`))

  await type(`surreal-sync sync postgresql ${target.join(' ')} --http 0`)
  await see(/^⠋|^[⠙⠹⠸⠼⠴⠦⠧⠇⠏] .* \d+%/m)
  await pause(1_500)
  const wide = screen()
  check('40 tables in 24 lines are folded', /… and \d+ more \(\d+ of 40 done\)/.test(wide) && lines(wide).length <= 24)
  show('Forty tables in 24 lines', wide)
  tmux('resize-window', '-t', 'main', '-x', '60', '-y', '12')
  await pause(500)
  const narrow = screen()
  check(
    'and in 60 columns and 12 lines, once',
    lines(narrow).length <= 12 && (narrow.match(/more \(/g) ?? []).length === 1,
  )
  show('The same, made smaller: 60 columns, 12 lines', narrow)
  tmux('resize-window', '-t', 'main', '-x', '100', '-y', '24')
  await see(/INFO .*: Caught up with the source/)
  await withClient(source, (client) => client.query('update table_8 set amount = amount + 1 where id <= 3000'))
  await see(/^ {2}3,000 changes .*lag/m)
  const following = screen()
  check('it says changes and the lag', /lag \d/.test(following))
  show('Following changes', following)
  check('the cursor is hidden meanwhile', tmux('display-message', '-p', '-t', 'main', '#{cursor_flag}').trim() === '0')
  tmux('send-keys', '-t', 'main', 'C-c')
  const ended = await see(/^EXIT 0$/m)
  check(
    'Ctrl-C ends it in order, with a summary',
    /Stopped: 40 tables, .* \[pipeline forty, surreal-sync [\d.]+\]/.test(ended),
  )
  check('the cursor is back', tmux('display-message', '-p', '-t', 'main', '#{cursor_flag}').trim() === '1')
  show('The end, after Ctrl-C', lines(ended).slice(-8).join('\n'))

  show('status', await run('status postgresql'))
  await type('surreal-sync status postgresql --watch')
  await see(/^Source[\s\S]*^Source/m)
  tmux('send-keys', '-t', 'main', 'C-c')
  const watched = await see(/EXIT \d+$/m)
  check('status --watch prints it again until Ctrl-C, and ends in order', /EXIT 0$/m.test(watched))
  const folded = watched.replaceAll(/(^public\.table_1 .*\n)(?:public\..*\n)+/gm, '$1…\n')
  show('status --watch, ended by Ctrl-C', folded)
  show('resync', await run('resync postgresql table_1'))
  const json = await run(`sync postgresql ${target.join(' ')} --log-format json --timeout 2s`)
  const events = lines(json).filter((line) => line.startsWith('{'))
  const names = events.map((line) => JSON.parse(line).event)
  check('with --log-format json every line is an object', names.includes('start') && names.includes('summary'))
  check(
    'and nothing else is printed',
    lines(json)
      .filter((line) => !/^\{|^\$|^EXIT/.test(line))
      .join('')
      .trim() === '',
  )
  await type(`NO_COLOR=1 surreal-sync sync postgresql ${target.join(' ')} --timeout 2s`)
  await see(/^EXIT 0$/m)
  const colours = tmux('capture-pane', '-p', '-e', '-S', '-', '-t', 'main')
  check('with NO_COLOR there are no colours', !colours.split('\u001b[').some((part) => /^[0-9;]*3\d/.test(part)))
  show('verify', await run(`verify postgresql ${target.join(' ')}`))
  show('repair', await run(`repair postgresql ${target.join(' ')}`))
  show('quarantine list', await run(`quarantine list ${target.join(' ')}`))
  show('quarantine retry', await run(`quarantine retry ${target.join(' ')}`))
  show(
    'full, without progress',
    await run(`full postgresql --to-namespace other --to-database x --tables table_1 --quiet`),
  )
  show(
    'incremental',
    lines(await run(`incremental postgresql ${target.join(' ')} --incremental-from postgresql:sequence:0 --timeout 1s`))
      .slice(-8)
      .join('\n'),
  )
  show('cleanup', await run('cleanup postgresql'))
  show('cleanup of a pipeline that is gone', await run('cleanup postgresql --forget forty'))
  show('A pipeline that is not there', await run('cleanup postgresql --forget forty', 2))
  show('teardown', await run('teardown postgresql'))
  show(
    'demo',
    lines(await run('demo'))
      .slice(-14)
      .join('\n'),
  )
  show('A mistake', await run('sync postgresql --to-namespace prod', 2))

  await using piped = startProgram(
    process.execPath,
    [...commandLine, 'sync', 'postgresql', ...target, '--restart', '--timeout', '1s'],
    { cwd: directory.path, env },
  )
  const { code, stderr } = await piped.ended
  check(
    'without a terminal there are lines and nothing else',
    code === 0 && ![...stderr].some((sign) => sign < ' ' && sign !== '\n'),
  )
  show('Without a terminal', [...lines(stderr).slice(0, 6), '…', ...lines(stderr.trimEnd()).slice(-3)].join('\n'))
} finally {
  tmux('kill-server')
}
const head = `# In a terminal

What the commands look like in a terminal of 100 columns; \`npm run terminal\` runs them in one, checks what is seen and writes this page.

`
writeFileSync(fileURLToPath(new URL('../../docs/terminal.md', import.meta.url)), `${head}${page.join('\n')}`)
console.log('docs/terminal.md')
