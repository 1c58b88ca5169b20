/** Runs one of the commands that replicate. */
import { type RunOptions, SyncEngine } from '../index.js'
import { createConnections } from './connections.js'
import { describeError } from './error-report.js'
import { ExitStatus } from './exit-status.js'
import type { CommandLineIo } from './io.js'
import { Log } from './log.js'
import { serveObservation, traceWhereSetUp } from './observability.js'
import { describePlan } from './plan.js'
import { Progress } from './progress.js'
import { progressLines } from './progress-lines.js'
import { Reporter } from './reporter.js'
import type { Settings } from './settings.js'
import { Stop } from './stop.js'
import { TerminalBlock } from './terminal-block.js'

const intervalMs = 10_000

/**
 * @param configFile Where some of the settings come from. Resolves when the work is done or was asked to stop.
 * @throws ExitStatus after what went wrong was logged; SyncError if that was before anything could be logged
 */
export async function runReplication(settings: Settings, io: CommandLineIo, configFile?: string): Promise<void> {
  const progress = new Progress(io.clock)
  const block = isTerminal(settings, io) ? createBlock(progress, io) : undefined
  const write = (line: string) => (block === undefined ? io.stderr.write(`${line}\n`) : block.log(line))
  const log = new Log({ format: settings.logFormat, level: settings.logLevel, write })
  const reporter = new Reporter(log, progress)
  const { source, sink, checkpoints, watched } = createConnections(settings, io)
  const { id, batchSize, concurrency, transforms, transformConcurrency } = settings
  const limits = batchSize === undefined ? undefined : { rowsMax: batchSize }
  const engine = new SyncEngine({
    source,
    sink,
    checkpoints,
    id,
    limits,
    concurrency,
    transforms,
    transformConcurrency,
  })
  reporter.listen(engine)
  if (configFile !== undefined) log.event('info', 'config', `Config file: ${configFile}`, { file: configFile })
  const stop = new Stop(io, {
    asked: (signal) =>
      log.event('info', 'signal', 'Stopping after the open writes; a second signal stops at once', { signal }),
    forced: () => block?.stop(),
  })
  const options: RunOptions = { ...runOptions(settings), signal: stop.signal }
  let endObservation = async () => {}
  try {
    if (settings.dryRun) {
      const plan = await engine.plan(options)
      io.stdout.write(describePlan(plan, settings))
      return
    }
    const { timeoutMs } = settings
    engine.on('phase', ({ phase }) => {
      block?.start()
      if (phase === 'incremental' && timeoutMs !== undefined) stop.after(timeoutMs)
    })
    await traceWhereSetUp(engine, io.env, log)
    const [from, to] = [source.address ?? source.name, sink.address ?? sink.name]
    if (settings.http !== undefined) {
      endObservation = await serveObservation(engine, settings.http, { source: watched, from, to }, log)
    }
    reporter.start(settings, { source: from, sink: to })
    const endInterval = block === undefined ? reporter.everyInterval(io.clock, intervalMs) : () => undefined
    const result = await engine.run(options).finally(endInterval)
    block?.stop()
    reporter.summary(result, stop.reason)
  } catch (error) {
    if (stop.explains(error)) return
    block?.stop()
    throw new ExitStatus(log.failure(describeError(error)))
  } finally {
    block?.stop()
    stop.dispose()
    await endObservation()
  }
}

function runOptions({ command, incrementalFrom, incrementalTo, replay, restart, takeover }: Settings): RunOptions {
  if (command === 'full') return { phase: 'full', restart, takeover }
  if (command === 'sync') return { follow: true, restart, takeover }
  return { phase: 'incremental', from: incrementalFrom, until: incrementalTo, replay, takeover, follow: true }
}

/** Whether somebody looks at it who wants lines to move. */
function isTerminal({ logFormat, progress }: Settings, { stderr, env }: CommandLineIo): boolean {
  return stderr.isTTY === true && progress && logFormat === 'text' && env.TERM !== 'dumb' && !env.CI
}

function createBlock(progress: Progress, { stderr, clock, env }: CommandLineIo): TerminalBlock {
  const color = !env.NO_COLOR
  return new TerminalBlock({
    stream: stderr,
    clock,
    lines: (size) => {
      progress.sample()
      return progressLines(progress, { ...size, color })
    },
  })
}
