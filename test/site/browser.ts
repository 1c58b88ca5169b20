/** Chromium without a window, over its DevTools protocol. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
const waitMsMax = 30_000

/** Where a browser is, if there is one: `CHROMIUM`, or on the PATH. */
export function findBrowser(): string | undefined {
  const named = process.env.CHROMIUM === undefined ? names : [process.env.CHROMIUM]
  return named.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0)
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: {
    readonly request?: { readonly url: string }
    readonly exceptionDetails?: { readonly text: string }
  }
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

/** One page. Ends with its scope. */
export class Browser implements AsyncDisposable {
  /** The addresses that the page asked for. */
  readonly requested: string[] = []
  /** What went wrong in its scripts. */
  readonly exceptions: string[] = []
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #answers = new Map<number, (message: Message) => void>()
  #session: string | undefined
  #count = 0

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = child
    this.#profile = profile
    this.#socket = socket
    socket.on('message', (data) => this.#receive(JSON.parse(String(data))))
  }

  static async open(
    program: string,
    { width, height }: { readonly width: number; readonly height: number },
  ): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'surreal-sync-browser-'))
    const options = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
    ]
    const child = spawn(program, [...options, `--window-size=${width},${height}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const address = await new Promise<string>((resolve, reject) => {
      let text = ''
      child.once('close', () => reject(new Error(`The browser ended: ${text}`)))
      child.stderr.setEncoding('utf8').on('data', (part: string) => {
        text += part
        const [, found] = /DevTools listening on (\S+)/.exec(text) ?? []
        if (found !== undefined) resolve(found)
      })
    })
    const socket = new WebSocket(address)
    await once(socket, 'open')
    const browser = new Browser(child, profile, socket)
    const { targetId } = await browser.#send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await browser.#send('Target.attachToTarget', { targetId, flatten: true })
    browser.#session = String(sessionId)
    for (const domain of ['Page', 'Runtime', 'Network']) await browser.#send(`${domain}.enable`)
    await browser.#send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false })
    return browser
  }

  async go(url: string): Promise<void> {
    await this.#send('Page.navigate', { url })
    await this.until(`location.href.startsWith(${JSON.stringify(url)}) && document.readyState === 'complete'`)
  }

  /** What an expression of the page gives. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`)
    return Reflect.get(Object(result), 'value')
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    const deadline = Date.now() + waitMsMax
    while ((await this.evaluate(`Boolean(${expression})`).catch(() => false)) !== true) {
      if (Date.now() > deadline) throw new Error(`Not so within ${waitMsMax} ms: ${expression}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** Types text into whatever has the focus. */
  async type(text: string): Promise<void> {
    await this.#send('Input.insertText', { text })
  }

  /** A PNG of what the window shows. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.#send('Page.captureScreenshot', { format: 'png' })
    return Buffer.from(String(data), 'base64')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'close')
    this.#socket.close()
    this.#process.kill()
    await ended
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  #receive({ id, method, params, result, error }: Message): void {
    if (id !== undefined) this.#answers.get(id)?.({ result, error })
    if (method === 'Network.requestWillBeSent') this.requested.push(params?.request?.url ?? '')
    if (method === 'Runtime.exceptionThrown') this.exceptions.push(params?.exceptionDetails?.text ?? '')
  }

  #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#count += 1
    const id = this.#count
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ result, error }) => {
        this.#answers.delete(id)
        if (error === undefined) resolve(result ?? {})
        else reject(new Error(`${method}: ${error.message}`))
      })
      this.#socket.send(JSON.stringify({ id, method, params, sessionId: this.#session }))
    })
  }
}
