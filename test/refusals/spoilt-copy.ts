/** Somebody between a client and PostgreSQL who spoils the first answer to COPY that passes by. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

export interface SpoilingRelay extends AsyncDisposable {
  readonly port: number
}

/** Changes one byte of the header of the binary format, which no network that loses or repeats packets does. */
export async function spoilCopies(port: number): Promise<SpoilingRelay> {
  const sockets = new Set<Socket>()
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.once('close', () => other.destroy())
    }
    client.pipe(server)
    server.on('data', (bytes) => {
      const at = bytes.indexOf(signature)
      if (at >= 0) bytes.writeUInt8(0x20, at + 3)
      client.write(bytes)
    })
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
