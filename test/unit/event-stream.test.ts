/** The event stream of the live page, with sockets of the system. */
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { EventStream } from '../../src/observe/event-stream.js'

const eventBytes = 65_536
const waitingBytesMax = 1_048_576
const readBytes = 16 * 1_048_576
/** What the system keeps on both sides of a connection of this machine, and much more. */
const sentBytesMax = 64 * 1_048_576

let stream: EventStream
let server: Server
const joined: ServerResponse[] = []

beforeEach(async () => {
  stream = new EventStream()
  joined.length = 0
  server = createServer((_, response) => {
    joined.push(response)
    stream.join(response, 'state', {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(async () => {
  stream.close()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const port = () => (server.address() as AddressInfo).port
const data = { text: 'x'.repeat(eventBytes) }

it('lets go of a client that never reads, before more than a bounded part waits for it', async () => {
  const socket = connect(port(), '127.0.0.1').pause()
  socket.on('error', () => undefined)
  socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await expect.poll(() => stream.size).toBe(1)
  const [response] = joined
  let sent = 0
  let waitingMost = 0
  while (stream.size > 0 && sent < sentBytesMax) {
    stream.send('state', data)
    sent += eventBytes
    waitingMost = Math.max(waitingMost, response?.writableLength ?? 0)
    await turn()
  }
  expect(stream.size).toBe(0)
  expect(response?.destroyed).toBe(true)
  expect(waitingMost).toBeGreaterThan(waitingBytesMax)
  expect(waitingMost).toBeLessThan(waitingBytesMax + 2 * eventBytes)
  socket.destroy()
})

it('keeps one that reads, however much that is', async () => {
  const request = get({ host: '127.0.0.1', port: port(), path: '/events' })
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  let received = 0
  answer.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  answer.on('error', () => undefined)
  for (let sent = 0; sent < readBytes; sent += eventBytes) {
    stream.send('state', data)
    while ((joined[0]?.writableLength ?? 0) > waitingBytesMax / 2) await turn()
  }
  expect(stream.size).toBe(1)
  await expect.poll(() => received).toBeGreaterThan(readBytes)
  answer.destroy()
})

it('takes no more than 16 at once', async () => {
  const sockets = Array.from({ length: 17 }, () => connect(port(), '127.0.0.1'))
  for (const socket of sockets) {
    socket.on('error', () => undefined)
    socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  }
  await expect.poll(() => joined.length).toBe(17)
  expect(stream.size).toBe(16)
  for (const socket of sockets) socket.destroy()
  await expect.poll(() => stream.size).toBe(0)
})
