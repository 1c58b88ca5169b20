/** The source that flags, environment and config file describe. */
import { PostgresTriggerSource } from '../index.js'
import { loadConfig } from './config-file.js'
import type { CommandLineIo } from './io.js'
import { type Flags, settleSource } from './settings.js'

export async function sourceOf(flags: Flags, io: CommandLineIo): Promise<PostgresTriggerSource> {
  const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
  return new PostgresTriggerSource(settleSource(flags, io.env, file?.config))
}
