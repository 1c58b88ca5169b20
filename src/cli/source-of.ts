/** The source that flags, environment and config file describe. */
import { PostgresTriggerSource } from '../index.js'
import { loadConfig } from './config-file.js'
import type { CommandLineIo } from './io.js'
import { type Flags, type Settings, settleSource } from './settings.js'

export async function sourceOf(flags: Flags, io: CommandLineIo): Promise<PostgresTriggerSource> {
  return new PostgresTriggerSource(await sourceSettingsOf(flags, io))
}

/** Where it is and what is to be spared, checked. */
export async function sourceSettingsOf(flags: Flags, io: CommandLineIo): Promise<Settings['source']> {
  const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
  return settleSource(flags, io.env, file?.config)
}
