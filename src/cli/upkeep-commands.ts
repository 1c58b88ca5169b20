/** `surreal-sync status`, `cleanup` and `teardown`: what the source keeps for its pipelines. */
import type { Command } from 'commander'
import { PostgresTriggerSource, SyncError } from '../index.js'
import { afterwards, describeAuditLimit, describeDetachment } from './audit-limit-report.js'
import { parseDuration } from './duration.js'
import { ExitStatus } from './exit-status.js'
import { plural } from './figures.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addAuditLimit, addAuditLimitSize, addSourceOptions } from './options.js'
import { addPostgresql } from './postgresql-command.js'
import { printable } from './printable.js'
import type { Flags } from './settings.js'
import { sourceOf, sourceSettingsOf } from './source-of.js'
import { describeStatus, statusAsJson } from './status-report.js'
import { columnsOfTerminal } from './wrapped.js'

interface StatusFlags extends Flags {
  readonly json?: boolean
  readonly watch?: boolean
}

interface CleanupFlags extends Flags {
  readonly olderThan?: string
  readonly forget?: string
}

interface TeardownFlags extends Flags {
  readonly sql?: boolean
  readonly force?: boolean
}

const watchMs = 2_000

export function addUpkeep(program: Command, io: CommandLineIo): void {
  const status = addCommand(program, 'status', 'say what is captured, and how far behind pipelines are')
    .optionsGroup('Printing:')
    .option('--json', 'print one JSON object')
    .option('--watch', `print it again every ${watchMs / 1_000} s, until Ctrl-C`)
  addSourceOptions(addAuditLimitSize(status)).action(() => runStatus(status.opts<StatusFlags>(), io))

  const cleanup = addCommand(program, 'cleanup', 'remove changes that every pipeline has applied')
    .optionsGroup('Cleaning up:')
    .option('--older-than <duration>', 'only changes older than this: 30d, 12h (default: all)')
    .option('--forget <id>', 'first unregister a pipeline that will not come back')
  addSourceOptions(addAuditLimit(cleanup)).action(() => runCleanup(cleanup.opts<CleanupFlags>(), io))

  const teardown = addCommand(program, 'teardown', 'remove triggers, functions and tables of surreal-sync')
    .optionsGroup('Removing:')
    .option('--sql', 'print the script that does it, and change nothing')
    .option('--force', 'also while a pipeline is running')
  addSourceOptions(teardown).action(() => runTeardown(teardown.opts<TeardownFlags>(), io))
}

function addCommand(program: Command, name: string, summary: string): Command {
  const example = `$ surreal-sync ${name} postgresql --source-uri postgresql://localhost/myapp`
  return addPostgresql(program, { name, summary, example })
}

/** @throws ExitStatus 3 if the audit table is larger than its limit, or was removed for it */
async function runStatus(flags: StatusFlags, io: CommandLineIo): Promise<void> {
  const settings = await sourceSettingsOf(flags, io)
  const source = new PostgresTriggerSource(settings)
  const { auditBytesMax } = settings
  const print = async () => {
    const status = await source.status()
    const { address } = source
    const text = flags.json
      ? `${statusAsJson(status, auditBytesMax)}\n`
      : describeStatus(status, { address, auditBytesMax, columns: columnsOfTerminal(io.stdout) })
    io.stdout.write(text)
    return status
  }
  if (!flags.watch) {
    const { bytes, detached } = await print()
    if (auditBytesMax !== undefined && (bytes > auditBytesMax || detached !== undefined)) throw new ExitStatus(3)
    return
  }
  await interruptible(io, (signal) => watch(print, flags, io, signal))
}

/** Also through an outage of the source; until a signal comes, or nobody reads any more. */
async function watch(print: () => Promise<unknown>, { json }: StatusFlags, io: CommandLineIo, stop: AbortSignal) {
  const unread = new AbortController()
  io.stdout.once('error', () => unread.abort())
  const signal = AbortSignal.any([stop, unread.signal])
  await print()
  for (;;) {
    await pause(io, signal)
    if (signal.aborted) return
    if (!json) io.stdout.write('\n')
    await print().catch((error: unknown) => {
      if (!(error instanceof SyncError && error.retryable)) throw error
      io.stderr.write(`${printable(error.message)} [${error.code}]\n`)
    })
  }
}

function pause({ clock }: CommandLineIo, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(watchMs, done)
    signal.addEventListener('abort', done)
  })
}

/** @throws ExitStatus 3 if the audit table is larger than its limit, or was removed for it */
async function runCleanup({ olderThan, forget, ...flags }: CleanupFlags, io: CommandLineIo): Promise<void> {
  const olderThanMs = olderThan === undefined ? undefined : parseDuration(olderThan, '--older-than')
  const settings = await sourceSettingsOf(flags, io)
  const source = new PostgresTriggerSource(settings)
  const { installed, pipelines, detached } = await source.status()
  if (detached !== undefined) {
    io.stdout.write(`What captures changes was ${describeDetachment(detached)}.\n${afterwards}\n`)
    throw new ExitStatus(3)
  }
  if (!installed) {
    io.stdout.write('Nothing is installed in this database.\n')
    return
  }
  if (forget !== undefined) {
    const pipeline = pipelines.find(({ id }) => id === forget)
    if (pipeline === undefined) throw unknownPipeline(forget, pipelines)
    if (pipeline.running) throw running(forget, 'Stop it before you forget it.')
    await source.forget(forget)
    io.stdout.write(`Forgot the pipeline ${printable(forget)}.\n`)
  }
  await interruptible(io, async (signal) => {
    const count = await source.prune({ olderThanMs, signal })
    const none = pipelines.every(({ id }) => id === forget)
    const why = none ? ': no pipeline is registered, so nobody has said what is no longer needed' : ''
    io.stdout.write(`Removed ${plural(count, 'change')}${why}.\n`)
    const { auditBytesMax } = settings
    if (auditBytesMax === undefined) return
    const outcome = await source.enforceAuditLimit({ signal })
    if (outcome.pruned > 0) io.stdout.write(`Removed ${plural(outcome.pruned, 'younger change')}, to make room.\n`)
    io.stdout.write(describeAuditLimit(outcome, auditBytesMax, !none))
    if (outcome.state !== 'within') throw new ExitStatus(3)
  })
}

async function runTeardown({ sql, force, ...flags }: TeardownFlags, io: CommandLineIo): Promise<void> {
  const source = await sourceOf(flags, io)
  const script = await source.teardownSql()
  if (sql) {
    io.stdout.write(script === '' ? '-- Nothing is installed in this database.\n' : `${script.trimEnd()}\n`)
    return
  }
  if (script === '') {
    io.stdout.write('Nothing is installed in this database.\n')
    return
  }
  const active = force ? undefined : (await source.status()).pipelines.find((pipeline) => pipeline.running)
  if (active !== undefined) throw running(active.id, 'Stop it first, or pass --force.')
  await interruptible(io, (signal) => source.teardown({ signal }))
  io.stdout.write('Removed triggers, functions and tables of surreal-sync. Copied records stay in SurrealDB.\n')
}

function unknownPipeline(id: string, pipelines: readonly { readonly id: string }[]): SyncError {
  const known = pipelines.map((pipeline) => pipeline.id).join(', ')
  return new SyncError('E_CONFIG', `There is no pipeline ${id} in this database`, {
    hint: known === '' ? 'None is registered.' : `There are: ${known}.`,
  })
}

function running(id: string, hint: string): SyncError {
  return new SyncError('E_LEASE_HELD', `The pipeline ${id} is running`, { hint })
}
