/** Notices a connection that is dead without saying so: a cable pulled, a firewall that forgot it. */
import type pg from 'pg'

/**
 * Waits for a statement. If meanwhile nothing at all comes over the connection for so long, closes its socket, which makes
 * the statement fail. No statement of ours keeps the server silent for longer.
 */
export async function watched<T>(client: pg.Client, silenceMsMax: number, work: Promise<T>): Promise<T> {
  const bytesRead = () => bytesReadOf(client.connection.stream)
  let received = bytesRead()
  let done = false
  const check = () => {
    // What has arrived while this process was busy is read before this runs.
    setImmediate(() => {
      if (done) return
      if (bytesRead() === received) client.connection.stream.destroy()
      received = bytesRead()
      timer = setTimeout(check, silenceMsMax)
    })
  }
  let timer = setTimeout(check, silenceMsMax)
  try {
    return await work
  } finally {
    done = true
    clearTimeout(timer)
  }
}

/** pg's types do not say that its stream is a socket. */
function bytesReadOf(stream: object): number {
  const count: unknown = Reflect.get(stream, 'bytesRead')
  return typeof count === 'number' ? count : 0
}
