/** Somebody between a client and PostgreSQL who, as PgBouncer does, names processes of its own. */
import type { Socket } from 'node:net'
import { pipeWithoutTls, type Relay, startRelay } from './relay.js'

/** Passes everything on but the number of the process that serves the client. */
export function startPooler(host: string, port: number): Promise<Relay> {
  const between = (client: Socket, server: Socket) => {
    pipeWithoutTls(client, server)
    renameProcess(server, client)
  }
  return startRelay(port, between, host)
}

/** Looks at whole messages until the one that says who serves (`K`), which comes once, before the first query. */
function renameProcess(server: Socket, client: Socket): void {
  let held = Buffer.alloc(0)
  const onData = (bytes: Buffer) => {
    held = Buffer.concat([held, bytes])
    while (held.length >= 5 && held.length >= 1 + held.readInt32BE(1)) {
      const message = held.subarray(0, 1 + held.readInt32BE(1))
      held = held.subarray(message.length)
      const isProcess = message[0] === 'K'.charCodeAt(0)
      if (isProcess) message.writeInt32BE(2_000_000_000, 5)
      client.write(message)
      if (!isProcess) continue
      server.off('data', onData)
      client.write(held)
      server.pipe(client)
      return
    }
  }
  server.on('data', onData)
}
