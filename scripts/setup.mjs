// Makes `npm test` and `npm run demo` work as the first command on a fresh clone (pretest, predemo): checks the
// version of Node.js and installs the packages when node_modules does not match package-lock.json. Plain
// JavaScript, Node.js only, and no syntax that an old Node.js cannot parse: it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const nodeMin = { major: 20, minor: 19 }

checkNode()
const reason = mismatch()
if (reason) install(reason)

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > nodeMin.major || (major === nodeMin.major && minor >= nodeMin.minor)) return
  fail(
    `Node.js ${nodeMin.major}.${nodeMin.minor} or newer is needed; this is ${process.versions.node} (${process.execPath}).`,
  )
}

/** Why node_modules is not what package-lock.json asks for; undefined when it is. */
function mismatch() {
  const wanted = packages('package-lock.json')
  if (!wanted) fail('package-lock.json is missing or damaged: restore it with `git checkout package-lock.json`.')
  const installed = packages('node_modules/.package-lock.json')
  if (!installed) return 'node_modules is missing or incomplete'
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const found = installed[path]
    if (found === undefined) {
      if (entry.optional || entry.devOptional) continue // for another platform
      return `${path} is not installed`
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path} is ${found.version}, package-lock.json says ${entry.version}`
    }
  }
  const extra = Object.keys(installed).find((path) => wanted[path] === undefined)
  return extra && `${extra} is not in package-lock.json`
}

function packages(file) {
  try {
    return JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).packages
  } catch {
    return undefined
  }
}

/** Development packages are named explicitly because NODE_ENV=production would leave them out. */
function install(why) {
  console.error(`setup: ${why}; running npm ci (about half a minute, 0.5 GB in node_modules)`)
  const npm = process.env.npm_execpath
  const options = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']
  const spawnOptions = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }
  const { status, signal, error } = /npm-cli\.c?js$/.test(npm ?? '')
    ? spawnSync(process.execPath, [npm, ...options], spawnOptions)
    : spawnSync('npm', options, { ...spawnOptions, shell: process.platform === 'win32' })
  if (error) fail(`npm cannot be started (${error.message}). Install npm, or run \`npm ci\` yourself.`)
  if (status !== 0) fail(`npm ci failed (${signal ?? `exit status ${status}`}); its own message is above.`)
  const left = mismatch()
  if (left) fail(`npm ci succeeded, yet ${left}.`)
}

function fail(message) {
  console.error(`setup: ${message}`)
  process.exit(1)
}
