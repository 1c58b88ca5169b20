#!/usr/bin/env node
/** The executable. */
import { main } from './command-line.js'
import { processIo } from './io.js'

/** How long an open socket or timer may keep the process alive after the work is done. */
const lingerMsMax = 2_000
const showCursor = '\u001b[?25h'

// A reader that has gone away (`| head`) is no reason to stop a sync.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
process.once('exit', () => {
  if (process.stderr.isTTY) process.stderr.write(showCursor)
})

process.exitCode = await main(process.argv.slice(2), processIo())
setTimeout(() => process.exit(), lingerMsMax).unref()
