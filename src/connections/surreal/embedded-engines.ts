/** The engines that run in this process. */
import type { EngineFactory, Engines } from 'surrealdb'
import { SyncError } from '../../core/errors.js'
import type { Address } from './address.js'

/** The engine gets the path as it was given: a URL would change spaces and other characters in it. */
export async function embeddedEngines(address: Address): Promise<Engines> {
  const { createNodeEngines } = await importNode()
  const factory = createNodeEngines()[address.protocol.slice(0, -1)]
  if (factory === undefined) throw new SyncError('E_CONFIG', `The engine of ${address.label} is not available`)
  const open: EngineFactory = (context) => {
    const engine = factory(context)
    const original = engine.open.bind(engine)
    engine.open = (state) => {
      state.url = new VerbatimUrl(address.url)
      original(state)
    }
    return engine
  }
  return { mem: open }
}

class VerbatimUrl extends URL {
  readonly #text: string

  constructor(text: string) {
    super('mem://')
    this.#text = text
  }

  override toString(): string {
    return this.#text
  }
}

async function importNode(): Promise<typeof import('@surrealdb/node')> {
  try {
    return await import('@surrealdb/node')
  } catch (error) {
    throw new SyncError('E_MISSING_PACKAGE', 'An embedded database needs the package @surrealdb/node', {
      hint: 'Install it: npm install @surrealdb/node@3',
      cause: error,
    })
  }
}
