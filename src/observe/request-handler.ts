/** Answers the requests of browsers, Prometheus and supervisors. Reads only. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Health } from './health.js'
import { healthAsJson } from './health.js'
import { page } from './page.js'

/** What is to be shown. */
export interface Observed {
  health(): Health
  metrics(): Promise<string>
  readonly metricsType: string
  /** Holds the response open for events. False: there are too many of them. */
  follow(response: ServerResponse): boolean
}

/** Answers one request, as a server of `node:http` hands it on. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

const plain = 'text/plain; charset=utf-8'
const headers = {
  'Cache-Control': 'no-store',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}
const ownNames = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/**
 * @param loopback Whether only this machine is to ask. Then requests for a host of another name are refused: a page on the
 * internet whose name leads to this machine must not read anything through somebody's browser.
 */
export function requestHandler(observed: Observed, loopback: boolean): RequestHandler {
  return (request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    answer(observed, loopback, request, response).catch(() => {
      if (response.headersSent) response.destroy()
      else send(response, 500, plain, 'This could not be answered.\n')
    })
  }
}

async function answer(
  observed: Observed,
  loopback: boolean,
  { method, url = '/', headers: { host = '' } }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return send(response, 405, plain, 'There is nothing to change here.\n')
  }
  if (loopback && !ownNames.test(host)) return send(response, 403, plain, 'This is answered for localhost only.\n')
  switch (url.split('?', 1)[0]) {
    case '/': {
      response.setHeader('Content-Security-Policy', page.policy)
      return send(response, 200, 'text/html; charset=utf-8', page.html)
    }
    case '/events': {
      if (method === 'HEAD') return send(response, 200, 'text/event-stream; charset=utf-8', '')
      if (!observed.follow(response)) send(response, 503, plain, 'Too many are looking at this already.\n')
      return
    }
    case '/metrics':
      return send(response, 200, observed.metricsType, await observed.metrics())
    case '/healthz': {
      const health = observed.health()
      return sendHealth(response, health, health.healthy)
    }
    case '/readyz': {
      const health = observed.health()
      return sendHealth(response, health, health.ready)
    }
    default:
      return send(response, 404, plain, 'There are /, /metrics, /healthz and /readyz.\n')
  }
}

function sendHealth(response: ServerResponse, health: Health, ok: boolean): void {
  send(response, ok ? 200 : 503, 'application/json', healthAsJson(health, ok))
}

/** Node.js leaves the body out where HEAD was asked. */
function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}
