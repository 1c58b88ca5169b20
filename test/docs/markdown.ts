/** The pages of the project: their code blocks, headings and links. */
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../..', import.meta.url))

export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly { readonly language: string; readonly text: string }[]
  /** As anchors of links name them. */
  readonly anchors: ReadonlySet<string>
  /** Where links lead, as written. Those within code are left out. */
  readonly links: readonly string[]
}

const blockPattern = /^(```+)([\w-]*)[^\n]*\n([\s\S]*?)^\1$/gm

/** Every page that is published or that contributors read. */
export function readPages(): readonly Page[] {
  return ['.', 'docs', 'docs/decisions', 'examples', ...folders('examples'), '.github', '.github/ISSUE_TEMPLATE']
    .flatMap((folder) => list(folder).map((name) => posix.join(folder, name)))
    .filter((path) => path.endsWith('.md'))
    .map(readPage)
}

export function readPage(path: string): Page {
  const text = readFileSync(posix.join(repository, path), 'utf8')
  const blocks = [...text.matchAll(blockPattern)].map(([, , language = '', code = '']) => ({ language, text: code }))
  const prose = text.replace(blockPattern, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, '.'))
  const headings = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return { path, text, blocks, anchors: new Set(headings.map(anchorOf)), links }
}

function anchorOf(heading: string): string {
  return heading
    .replace(/`/g, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-')
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(posix.join(repository, folder))
  } catch {
    return []
  }
}

function folders(parent: string): readonly string[] {
  return readdirSync(posix.join(repository, parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => posix.join(parent, name))
}
