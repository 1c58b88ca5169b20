/** A Chromium that is installed, if there is one. */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const places = [
  process.env.CHROMIUM_BIN ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** The executable that the variable CHROMIUM_BIN names, or one of the usual places. */
export const browserPath = places.find((place) => place !== '' && existsSync(place))

/** What a test that needs one says when there is none. */
export const noBrowser = browserPath === undefined ? 'no Chromium is installed, and CHROMIUM_BIN names none' : ''

/** Without a window. It can reach nothing but addresses of this machine. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: browserPath,
    // Containers run as root, whom Chromium's sandbox refuses; only pages of our own are opened.
    args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  })
}
