/** Somebody between a client and PostgreSQL who spoils the first answer to COPY that passes by. */
import { type Relay, startRelay } from '../support/relay.js'

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

/** Changes one byte of the header of the binary format, which no network that loses or repeats packets does. */
export function spoilCopies(port: number): Promise<Relay> {
  return startRelay(port, (client, server) => {
    client.pipe(server)
    server.on('data', (bytes) => {
      const at = bytes.indexOf(signature)
      if (at >= 0) bytes.writeUInt8(0x20, at + 3)
      client.write(bytes)
    })
  })
}
