/** The files of the live page and the version. The build puts their content in place of this module. */
import { readFileSync } from 'node:fs'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const manifest: { readonly version: string } = JSON.parse(read('../../package.json'))

export const embedded = {
  html: read('page/page.html'),
  css: read('page/page.css'),
  logic: read('page/logic.js'),
  js: read('page/page.js'),
  version: manifest.version,
}
