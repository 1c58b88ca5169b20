/** Somebody between a client and PostgreSQL who, as PgBouncer does, names processes of its own. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Pooler extends AsyncDisposable {
  readonly port: number
}

const sslRequest = 80_877_103

/** Passes everything on but the number of the process that serves the client. */
export async function startPooler(host: string, port: number): Promise<Pooler> {
  const sockets = new Set<Socket>()
  const relay = createServer((client) => {
    const server = connect(port, host)
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.once('close', () => other.destroy())
    }
    client.once('data', (first) => {
      if (first.length === 8 && first.readInt32BE(4) === sslRequest) client.write('N')
      else server.write(first)
      client.pipe(server)
    })
    renameProcess(server, client)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return {
    port: (relay.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => relay.close(resolve))
    },
  }
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
