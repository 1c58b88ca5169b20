// Rows that are read past pg's parser: wherever the socket cuts the stream, and whatever else comes in between.
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { copyRows } from '../../src/sources/postgres/copy-stream.js'
import { header, int32, row, trailer } from '../support/copy-bytes.js'
import {
  type Answer,
  complete,
  connect,
  copyData,
  copyDone,
  copyOut,
  endServers,
  message,
  ready,
  serverError,
} from '../support/copy-server.js'

afterEach(endServers)

const rows = Array.from({ length: 12 }, (_, index) => row([int32(index), Buffer.from('x'.repeat(index))]))
const notice = message('N', Buffer.from('SNOTICE\0VNOTICE\0C00000\0Mhello\0\0'))
const end = [copyData(trailer), copyDone, complete(`COPY ${rows.length}`), ready]
const whole = [copyOut(2), copyData(header()), ...rows.map(copyData), ...end]

/** Each part arrives by itself. */
const inParts =
  (...parts: readonly Buffer[]): Answer =>
  async (socket) => {
    socket.setNoDelay(true)
    for (const part of parts) {
      socket.write(part)
      await sleep(3)
    }
  }

async function values(client: pg.Client): Promise<readonly number[]> {
  const found: number[] = []
  for await (const chunk of copyRows(client, 'copy t to stdout', { rowsMax: 5, bytesMax: 10_000 })) {
    for (let index = 0; index < chunk.rowCount; index += 1) {
      const start = chunk.start(index, 1)
      expect(chunk.bytes.toString('latin1', start, chunk.end(start))).toBe(
        'x'.repeat(chunk.view.getInt32(chunk.start(index, 0))),
      )
      found.push(chunk.view.getInt32(chunk.start(index, 0)))
    }
  }
  return found
}

const numbers = rows.map((_, index) => index)
const bytes = Buffer.concat(whole)
const cuts = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1)

function cutAt(...positions: readonly number[]): Buffer[] {
  const ends = [...positions, bytes.length]
  return ends.map((stop, index) => bytes.subarray(ends[index - 1] ?? 0, stop))
}

/** How many messages of rows pg itself has delivered. */
function delivered(client: pg.Client): () => number {
  let count = 0
  client.connection.on('copyData', () => {
    count += 1
  })
  return () => count
}

describe('the messages of a COPY', () => {
  it('may be cut anywhere, once', async () => {
    const client = await connect(...cuts.map((cut) => inParts(...cutAt(cut))))
    for (const cut of cuts) expect(await values(client), `cut at ${cut}`).toEqual(numbers)
    await client.end()
  }, 60_000)

  it('may be cut anywhere, into many pieces', async () => {
    for (const size of [1, 2, 3, 4, 5, 6, 7, 11, 13]) {
      const parts = cuts.filter((cut) => cut % size === 0 && cut > 60)
      const client = await connect(inParts(...cutAt(40, ...parts)), inParts(bytes))
      expect(await values(client), `pieces of ${size}`).toEqual(numbers)
      expect(await values(client)).toEqual(numbers)
      await client.end()
    }
  }, 60_000)

  it('are taken past pg once there is more than one piece', async () => {
    const client = await connect(inParts(...cutAt(60, 200)))
    const count = delivered(client)
    expect(await values(client)).toEqual(numbers)
    expect(count()).toBeLessThan(6)
    await client.end()
  })

  it('may have notices between them, which reach the client', async () => {
    const [first, ...rest] = [copyOut(2), copyData(header()), ...rows.map(copyData)]
    const parts = rest.flatMap((part, index) =>
      index % 4 === 2 ? [part.subarray(0, 3), part.subarray(3), notice] : [part],
    )
    const client = await connect(inParts(first ?? ready, ...parts, ...end))
    let notices = 0
    client.on('notice', () => {
      notices += 1
    })
    expect(await values(client)).toEqual(numbers)
    expect(notices).toBe(parts.filter((part) => part === notice).length)
    await client.end()
  })

  it('may end in an error of the server, after which the connection can be used', async () => {
    const some = whole.slice(0, 8)
    const client = await connect(
      inParts(Buffer.concat(some), serverError, ready),
      inParts(
        ...cutAt(60, 90).slice(0, 2),
        Buffer.concat([
          bytes.subarray(
            90,
            whole.slice(0, 9).reduce((sum, part) => sum + part.length, 0),
          ),
          serverError.subarray(0, 3),
        ]),
        serverError.subarray(3),
        ready,
      ),
      inParts(bytes),
    )
    await expect(values(client)).rejects.toMatchObject({ code: '22012' })
    await expect(values(client)).rejects.toMatchObject({ code: '22012' })
    expect(await values(client)).toEqual(numbers)
    await client.end()
  })

  it('must have a length', async () => {
    const bad = Buffer.concat([Buffer.from('d'), int32(3)])
    const client = await connect(inParts(bytes.subarray(0, 60), bytes.subarray(60, 80), bad))
    await expect(values(client)).rejects.toMatchObject({ code: expect.stringMatching(/^E_/) })
  })
})
