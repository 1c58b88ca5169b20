/** Somebody between a client and a server on this machine. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Relay extends AsyncDisposable {
  readonly port: number
}

const sslRequest = 80_877_103

/** @param between What passes between the two sockets of each connection; that one of them ends ends the other anyway. */
export async function startRelay(
  port: number,
  between: (client: Socket, server: Socket) => void,
  host = '127.0.0.1',
): Promise<Relay> {
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
    between(client, server)
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

/** Passes on what a client of PostgreSQL says, and answers for the server that it has no TLS. */
export function pipeWithoutTls(client: Socket, server: Socket): void {
  client.once('data', (first) => {
    if (first.length === 8 && first.readInt32BE(4) === sslRequest) client.write('N')
    else server.write(first)
    client.pipe(server)
  })
}
