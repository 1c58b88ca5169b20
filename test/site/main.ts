/**
 * `npm run test:site`: looks at what `npm run docs` has made. Every link leads somewhere and nothing comes from elsewhere; where
 * there is a Chromium (or what `CHROMIUM` names), navigation, search, pictures and dark mode work in it, and
 * reports/site/*.png show how they look.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { repository } from '../docs/markdown.js'
import { Browser, findBrowser } from './browser.js'
import { checkLinks } from './links.js'

const site = join(repository, 'docs/api')
const pictures = join(repository, 'reports/site')
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
}

function check(what: string, condition: boolean): void {
  if (!condition) throw new Error(`Not so: ${what}`)
  console.log(`ok  ${what}`)
}

/** Serves the site as a plain web server would. */
async function serve() {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://site').pathname))
    const file = join(site, path.endsWith('/') ? `${path}index.html` : path)
    if (!file.startsWith(site) || !existsSync(file)) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': types[extname(file)] ?? 'text/plain' }).end(readFileSync(file))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() }
}

async function look(program: string): Promise<void> {
  const server = await serve()
  await using page = await Browser.open(program, { width: 1_280, height: 860 })
  const picture = async (name: string) => writeFileSync(join(pictures, `${name}.png`), await page.screenshot())
  const click = (selector: string) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`)
  try {
    mkdirSync(pictures, { recursive: true })
    await page.go(`${server.url}/`)
    await page.until(`document.querySelector('.tsd-navigation a[href$="documents/how-it-works.html"]')`)
    await picture('start')

    await click('.tsd-navigation a[href$="documents/how-it-works.html"]')
    await page.until(`location.pathname === '/documents/how-it-works.html' && document.readyState === 'complete'`)
    check(
      'the navigation leads to a guide',
      (await page.evaluate(`document.querySelector('h1')?.textContent`)) !== null,
    )
    const widths = '[...document.querySelectorAll(".tsd-typography img")].map(({ naturalWidth }) => naturalWidth)'
    await page.until(`${widths}.length === 4 && ${widths}.every((width) => width > 100)`)
    check('its four pictures are there', true)
    await picture('how-it-works')

    await click('#tsd-search-trigger')
    await page.until(`document.querySelector('#tsd-search-input') === document.activeElement`)
    await page.type('SurrealCheckpointStore')
    const found = `[...document.querySelectorAll('#tsd-search-results a')].find(({ href }) => href.endsWith('/classes/index.SurrealCheckpointStore.html'))`
    await page.until(found)
    await picture('search')
    await page.evaluate(`${found}.click()`)
    await page.until(`location.pathname === '/classes/index.SurrealCheckpointStore.html'`)
    check('the search finds a class and leads to it', true)

    await page.go(`${server.url}/documents/how-it-works.html`)
    const shade = `(() => {
      const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)
      return red + green + blue
    })()`
    const choose = (theme: string) =>
      page.evaluate(`(() => {
        const select = document.querySelector('#tsd-theme')
        select.value = '${theme}'
        select.dispatchEvent(new Event('change'))
      })()`)
    await choose('light')
    check('the light theme is light', Number(await page.evaluate(shade)) > 600)
    await choose('dark')
    check('the dark theme is dark', Number(await page.evaluate(shade)) < 200)
    await picture('dark')
    await page.go(`${server.url}/documents/shaping-rows.html`)
    check('and stays so on the next page', Number(await page.evaluate(shade)) < 200)

    check('no script fails', page.exceptions.length === 0)
    const elsewhere = page.requested.filter((url) => !url.startsWith(server.url) && !/^(about|data|blob):/.test(url))
    check(`nothing is loaded from elsewhere (${page.requested.length} requests)`, elsewhere.length === 0)
  } finally {
    server.close()
  }
}

if (!existsSync(join(site, 'index.html'))) throw new Error('There is no site yet: run `npm run docs`.')
const listed: readonly string[] = JSON.parse(readFileSync(join(repository, 'typedoc.json'), 'utf8')).projectDocuments
const guides = readdirSync(join(repository, 'docs')).filter((name) => name.endsWith('.md'))
check(
  `all ${guides.length} guides are part of the site`,
  guides.every((name) => listed.includes(`docs/${name}`)),
)
const { pages, links, dead, external } = checkLinks(site)
for (const link of dead.slice(0, 20)) console.log(`dead  ${link}`)
check(`all ${links} links of ${pages} pages lead somewhere`, dead.length === 0 && pages > 100)
check('no page refers to a script, style or picture from elsewhere', external.length === 0)
const browser = findBrowser()
if (browser === undefined) console.log('skipped: there is no Chromium here, so nobody has looked at the pages')
else await look(browser)
