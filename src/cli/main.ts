#!/usr/bin/env node
/** The executable. */
import { main, report, warnOfSecrets } from './command-line.js'
import { processIo } from './io.js'
import { secretArguments, withoutSecrets } from './secret-arguments.js'

/** How long an open socket or timer may keep the process alive after the work is done. */
const lingerMsMax = 2_000
const showCursor = '\u001b[?25h'
const argv = process.argv.slice(2)
// On Linux and macOS this is what others see of the arguments from now on.
if (secretArguments(argv).length > 0) process.title = ['surreal-sync', ...withoutSecrets(argv)].join(' ')
const io = processIo()

// A reader that has gone away (`| head`) is no reason to stop a sync.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
// What Node.js would print quotes the message of the error, which may quote a value.
process.once('uncaughtException', (error) => process.exit(report(error, argv, io)))
process.once('exit', () => {
  if (process.stderr.isTTY) process.stderr.write(showCursor)
})
// The same for Ctrl-Z and Ctrl-\, which end no work: they do what they always do.
if (process.stderr.isTTY && process.platform !== 'win32') {
  process.on('SIGTSTP', () => {
    process.stderr.write(showCursor)
    process.kill(process.pid, 'SIGSTOP')
  })
  process.once('SIGQUIT', () => {
    process.stderr.write(showCursor)
    process.kill(process.pid, 'SIGQUIT')
  })
}

warnOfSecrets(argv, io)
process.exitCode = await main(argv, io)
setTimeout(() => process.exit(), lingerMsMax).unref()
