/** The live page: one document without any other request than that for its events. */
import { createHash } from 'node:crypto'
import { embedded } from './embedded.js'

interface Page {
  readonly html: string
  /** What the document may do, for the header Content-Security-Policy: exactly its own script and style, its own events. */
  readonly policy: string
}

export const page: Page = assemble()

function assemble(): Page {
  const { html, css, logic, js } = embedded
  const script = `${logic}\n${js}`
  return {
    html: html
      .replace('<!-- style -->', () => `<style>${css}</style>`)
      .replace('<!-- script -->', () => `<script>${script}</script>`),
    policy: [
      `default-src 'none'`,
      `script-src '${hashOf(script)}'`,
      `style-src '${hashOf(css)}'`,
      `connect-src 'self'`,
      'img-src data:',
      `base-uri 'none'`,
      `form-action 'none'`,
      `frame-ancestors 'none'`,
    ].join('; '),
  }
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
