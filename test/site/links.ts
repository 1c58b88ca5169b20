/** The links of a folder of HTML pages. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'

export interface SiteLinks {
  readonly pages: number
  readonly links: number
  /** `page: link` */
  readonly dead: readonly string[]
  /** What a page would load from elsewhere. */
  readonly external: readonly string[]
}

/** Follows every link within the site, anchors included. */
export function checkLinks(site: string): SiteLinks {
  const pages = readdirSync(site, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.html'))
  const texts = new Map(pages.map((page) => [page, readFileSync(join(site, page), 'utf8')]))
  const anchors = new Map<string, ReadonlySet<string>>()
  const anchorsOf = (page: string) => {
    const known =
      anchors.get(page) ?? new Set([...(texts.get(page) ?? '').matchAll(/\bid="([^"]*)"/g)].map(([, id = '']) => id))
    anchors.set(page, known)
    return known
  }
  const [dead, external]: [string[], string[]] = [[], []]
  let links = 0
  for (const [page, text] of texts) {
    for (const [tag, attribute, encoded = ''] of text.matchAll(/<\w+ [^>]*?\b(href|src)="([^"]*)"/g)) {
      const link = encoded.replaceAll('&amp;', '&')
      if (/^[a-z]+:/.test(link)) {
        if (attribute === 'src' || tag.startsWith('<link')) external.push(`${page}: ${link}`)
        continue
      }
      links += 1
      const [path = '', anchor = ''] = link.split('#').map(decodeURIComponent)
      const file = path.endsWith('/') ? `${path}index.html` : path
      const target = file === '' ? page : posix.join(posix.dirname(page), file)
      const there = target === '.' || (existsSync(join(site, target)) && statSync(join(site, target)).isFile())
      const found = there && (anchor === '' || !target.endsWith('.html') || anchorsOf(target).has(anchor))
      if (!found) dead.push(`${page}: ${link}`)
    }
  }
  return { pages: pages.length, links, dead, external }
}
