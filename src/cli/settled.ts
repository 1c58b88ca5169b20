/** Flags, environment and config file → settings, for commands that look at a pipeline without running it. */
import { loadConfig } from './config-file.js'
import type { CommandLineIo } from './io.js'
import { type Flags, type Settings, settle } from './settings.js'

/** @throws SyncError `E_CONFIG` */
export async function settled(flags: Flags, io: CommandLineIo): Promise<Settings> {
  const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
  return settle('sync', flags, io.env, file?.config)
}
