// A server that misbehaves on purpose: what a real PostgreSQL never sends must not pass for the end of a table.
import type pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import type { CopyRows } from '../../src/sources/postgres/copy-rows.js'
import { type CopyOptions, copyRows } from '../../src/sources/postgres/copy-stream.js'
import { header, int16, int32, row, trailer } from '../support/copy-bytes.js'
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

const rows = [row([int32(1)]), row([int32(2)]), row([null])]
const body = [copyOut(1), copyData(header()), ...rows.map(copyData)]

const sends =
  (...parts: Buffer[]): Answer =>
  (socket) => {
    socket.write(Buffer.concat(parts))
  }

async function collect(client: pg.Client, options: Partial<CopyOptions> = {}): Promise<CopyRows[]> {
  const chunks: CopyRows[] = []
  for await (const chunk of copyRows(client, 'copy t to stdout', { rowsMax: 100, bytesMax: 10_000, ...options }))
    chunks.push(chunk)
  return chunks
}

const good = sends(...body, copyData(trailer), copyDone, complete('COPY 3'), ready)

describe('a COPY stream', () => {
  it('gives the rows, and the connection can be used on', async () => {
    const client = await connect(good, good)
    for (const rowsMax of [100, 1]) {
      const chunks = await collect(client, { rowsMax })
      expect(chunks.map((chunk) => chunk.rowCount)).toEqual(rowsMax === 1 ? [1, 1, 1] : [3])
    }
    expect(client.listenerCount('error')).toBe(0)
    await client.end()
  })

  it('does not care how rows are spread over messages', async () => {
    const bytes = Buffer.concat([header(), ...rows, trailer])
    const client = await connect(
      sends(
        copyOut(1),
        ...Array.from(bytes, (byte) => copyData(Buffer.from([byte]))),
        copyDone,
        complete('COPY 3'),
        ready,
      ),
    )
    expect((await collect(client)).map((chunk) => chunk.rowCount)).toEqual([3])
    await client.end()
  })

  it.each([
    ['without its trailer', sends(...body, copyDone, complete('COPY 3'), ready)],
    ['without CopyDone', sends(...body, copyData(trailer), complete('COPY 3'), ready)],
    ['without completion', sends(...body, copyData(trailer), copyDone, ready)],
    ['with another number of rows', sends(...body, copyData(trailer), copyDone, complete('COPY 4'), ready)],
    ['as text', sends(copyOut(1, 0), copyData(Buffer.from('1\n')), copyDone, complete('COPY 1'), ready)],
    ['with another number of columns', sends(copyOut(2), copyData(header()), ...rows.map(copyData))],
    [
      'with rows after its trailer',
      sends(...body, copyData(trailer), copyData(rows[0] ?? trailer), copyDone, complete('COPY 4'), ready),
    ],
    ['as the rows of a SELECT', sends(message('T', int16(0)), message('D', int16(0)), complete('SELECT 1'), ready)],
    ['as nothing', sends(message('I'), ready)],
    ['as a COPY FROM', sends(message('G', Buffer.from([0, 0, 0])))],
    ['as the completion of something else', sends(complete('SET'), ready)],
  ])('that comes %s is refused, and its connection closed', async (_, answer) => {
    const client = await connect(answer)
    await expect(collect(client)).rejects.toMatchObject({ code: 'E_SOURCE_PROTOCOL' })
    await expect(client.query('select 1')).rejects.toThrow()
  })

  it.each([0, 1, 2, 3, 4])('that is cut after %i messages is a lost connection', async (count) => {
    const client = await connect((socket) => socket.end(Buffer.concat(body.slice(0, count))))
    await expect(collect(client)).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
  })

  it('that is cut while its rows wait to be taken is a lost connection', async () => {
    const client = await connect((socket) => socket.end(Buffer.concat([...body, copyData(rows[0] ?? trailer)])))
    const copy = copyRows(client, 'copy', { rowsMax: 1, bytesMax: 1000, chunksMax: 1 })
    expect((await copy.next()).value?.rowCount).toBe(1)
    await expect(collectRest(copy)).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
  })

  it('hands on the errors of the server, after which the connection can be used', async () => {
    const client = await connect(sends(serverError, ready), sends(...body, serverError, ready), good)
    await expect(collect(client)).rejects.toMatchObject({ code: '22012', severity: 'ERROR' })
    await expect(collect(client)).rejects.toMatchObject({ code: '22012', severity: 'ERROR' })
    expect(await collect(client)).toHaveLength(1)
    expect(client.listenerCount('error')).toBe(0)
    await client.end()
  })

  it('closes the connection when it is left early', async () => {
    const client = await connect(sends(...body))
    for await (const chunk of copyRows(client, 'copy', { rowsMax: 1, bytesMax: 1000 })) {
      expect(chunk.rowCount).toBe(1)
      break
    }
    await expect(client.query('select 1')).rejects.toThrow()
  })

  it('ends with the reason of the signal', async () => {
    const client = await connect(sends(...body))
    const controller = new AbortController()
    const copied = collect(client, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(copied).rejects.toThrow('enough')
    await expect(client.query('select 1')).rejects.toThrow()
    await expect(collect(client, { signal: controller.signal })).rejects.toThrow('enough')
  })

  it('asks for nothing until it is iterated', async () => {
    const client = await connect(good)
    const copy = copyRows(client, 'copy', { rowsMax: 1, bytesMax: 1000 })
    await copy.return()
    expect(await collect(client)).toHaveLength(1)
    await client.end()
  })
})

async function collectRest(copy: AsyncIterable<CopyRows>): Promise<void> {
  for await (const _ of copy);
}
