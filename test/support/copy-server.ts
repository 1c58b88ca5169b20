/** A PostgreSQL server that answers as it is told, for what a real one never does. */
import { createServer, type Server, type Socket } from 'node:net'
import pg from 'pg'
import { int16, int32 } from './copy-bytes.js'

export type Answer = (socket: Socket) => void

const servers: Server[] = []
const sockets: Socket[] = []

/** Ends all servers. */
export async function endServers(): Promise<void> {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
}

/** A client of a server that lets everybody in and answers each query with the next of these. */
export async function connect(...answers: Answer[]): Promise<pg.Client> {
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', int32(0)), ready]))
      socket.on('data', (bytes) => {
        if (bytes[0] === 0x51) answers.shift()?.(socket)
      })
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'test', password: '', ssl: false })
  await client.connect()
  return client
}

/** A message of the server. */
export function message(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

export const ready = message('Z', Buffer.from('I'))
export const copyOut = (columns: number, format = 1) =>
  message(
    'H',
    Buffer.concat([Buffer.from([format]), int16(columns), ...Array.from({ length: columns }, () => int16(format))]),
  )
export const copyData = (bytes: Buffer) => message('d', bytes)
export const copyDone = message('c')
export const complete = (text: string) => message('C', Buffer.from(`${text}\0`))
export const serverError = message('E', Buffer.from('SERROR\0VERROR\0C22012\0Mdivision by zero\0\0'))
