/** The version of this package, found by its own name, so that it works from sources and from a build. */
import { createRequire } from 'node:module'

const manifest: { readonly version: string } = createRequire(import.meta.url)('surreal-sync/package.json')

export const version = manifest.version
