/** Flags, environment and config file → settings, for commands that look at a pipeline without running it. */
import { SyncError } from '../index.js'
import { loadConfig } from './config-file.js'
import type { CommandLineIo } from './io.js'
import { type Flags, type Settings, settle } from './settings.js'

/** The same for commands that compare rows with those of the source. @throws SyncError `E_CONFIG` */
export async function settledPlain(flags: Flags, io: CommandLineIo): Promise<Settings> {
  const settings = await settled(flags, io)
  if (settings.transforms === undefined || settings.transforms.length === 0) return settings
  throw new SyncError('E_CONFIG', 'This command does not know what the `transforms` of the config file make of rows', {
    hint: 'It compares with rows as the source has them: leave the transforms out, or compare by other means.',
  })
}

/** @throws SyncError `E_CONFIG` */
export async function settled(flags: Flags, io: CommandLineIo): Promise<Settings> {
  const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
  return settle('sync', flags, io.env, file?.config)
}
