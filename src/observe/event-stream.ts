/** Server-sent events for a bounded number of clients that keep up. */
import type { ServerResponse } from 'node:http'

/** What waits for a client beyond this was not read for long: it is let go, and its browser connects again. */
const limits = { clientsMax: 16, waitingBytesMax: 1_048_576 }
const reconnectMs = 2_000

export class EventStream {
  readonly #clients = new Set<ServerResponse>()

  get size(): number {
    return this.#clients.size
  }

  /** False: there are too many. Otherwise the response is held open, beginning with this event. */
  join(response: ServerResponse, event: string, data: unknown): boolean {
    if (this.#clients.size >= limits.clientsMax) return false
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' })
    response.write(`retry: ${reconnectMs}\n\n${textOf(event, data)}`)
    this.#clients.add(response)
    response.once('close', () => this.#clients.delete(response))
    return true
  }

  send(event: string, data: unknown): void {
    const text = textOf(event, data)
    for (const client of this.#clients) {
      if (client.writableLength > limits.waitingBytesMax) client.destroy()
      else client.write(text)
    }
  }

  close(): void {
    for (const client of this.#clients) client.end()
  }
}

/** JSON has no line breaks. */
function textOf(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
