import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileCheckpointStore } from '../../src/checkpoints/file.js'
import { decodeStored, encodeStored } from '../../src/checkpoints/file-content.js'
import { fileError } from '../../src/checkpoints/file-folder.js'
import type { Checkpoint, CheckpointKind, Position } from '../../src/core/checkpoint.js'
import { SyncError } from '../../src/core/errors.js'

let directory: string
let tick: number

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'surreal-sync-checkpoints-'))
  tick = 0
})

afterEach(() => rm(directory, { recursive: true, force: true }))

/** A checkpoint at this sequence, a millisecond after the last one. */
function checkpoint(kind: CheckpointKind, sequence: number, resumeAfter = sequence): Checkpoint {
  const timestamp = new Date(Date.UTC(2026, 0, 31, 12, 0, 0, tick++)).toISOString()
  return {
    kind,
    position: `{"sequence":${sequence},"gaps":[]}` as Position,
    resumeAfter: `{"sequence":${resumeAfter},"gaps":[]}` as Position,
    described: { PostgreSQL: { sequence, sequence_id: sequence, timestamp } },
    timestamp,
  }
}

const top = async () => (await readdir(directory)).filter((name) => name.endsWith('.json')).sort()
const start = (time: string) => `checkpoint_full_sync_start_2026-01-31T12-00-00.${time}Z.json`
const end = (time: string) => `checkpoint_full_sync_end_2026-01-31T12-00-00.${time}Z.json`

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return error instanceof SyncError ? error.code : `not refused: ${error}`
}

describe('a file checkpoint store', () => {
  it('knows nothing at first and makes no directory by looking', async () => {
    const store = new FileCheckpointStore(join(directory, 'none'))
    expect(await store.load('shop')).toBeUndefined()
    expect(await readdir(directory)).toEqual([])
  })

  it('gives back what was saved last, exactly', async () => {
    const store = new FileCheckpointStore(directory)
    const t1 = checkpoint('full_sync_start', 5)
    const progress = { ...checkpoint('full_progress', 5), completed: ['public.users', 'public."ü"#1'] }
    const t2 = checkpoint('full_sync_end', 9, 5)
    const later = {
      ...checkpoint('incremental', 12),
      described: { PostgreSQL: { sequence: 2n ** 62n, text: 'a 12345678901234567890 b' } },
    }
    for (const saved of [t1, progress, t2, later]) {
      await store.save('shop', saved)
      expect(await new FileCheckpointStore(directory).load('shop')).toEqual(saved)
    }
  })

  it('names files as scripts expect, with the sequence where jq looks for it', async () => {
    const store = new FileCheckpointStore(directory)
    await store.save('shop', checkpoint('full_sync_start', 5))
    await store.save('shop', checkpoint('full_sync_end', 9, 5))
    expect(await top()).toEqual([end('001'), start('000')])
    const content = JSON.parse(await readFile(join(directory, start('000')), 'utf8'))
    expect(content.checkpoint.PostgreSQL.sequence).toBe(5)
    expect(content.checkpoint.PostgreSQL.sequence_id).toBe(5)
    expect(content).toMatchObject({ phase: 'full_sync_start', timestamp: '2026-01-31T12:00:00.000Z', pipeline: 'shop' })
  })

  it('is for its owner alone', async () => {
    const store = new FileCheckpointStore(join(directory, 'a', 'b'))
    await store.save('shop', checkpoint('full_sync_start', 5))
    expect((await stat(join(directory, 'a', 'b'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(directory, 'a', 'b', start('000')))).mode & 0o777).toBe(0o600)
  })

  it('moves everything to old when a new full sync starts', async () => {
    const store = new FileCheckpointStore(directory)
    for (const kind of ['full_sync_start', 'full_progress', 'full_sync_end', 'incremental'] as const) {
      await store.save('shop', checkpoint(kind, 5))
    }
    expect(await top()).toEqual([end('002'), start('000'), 'checkpoint_incremental.json'])
    const again = checkpoint('full_sync_start', 20)
    await store.save('shop', again)
    expect(await top()).toEqual([start('004')])
    expect((await readdir(join(directory, 'old'))).sort()).toEqual([
      'checkpoint_full_progress_2026-01-31T12-00-00.001Z.json',
      end('002'),
      start('000'),
      'checkpoint_incremental_2026-01-31T12-00-00.003Z.json',
    ])
    expect(await store.load('shop')).toEqual(again)
  })

  it('keeps one end at most', async () => {
    const store = new FileCheckpointStore(directory)
    for (const sequence of [7, 8]) await store.save('shop', checkpoint('full_sync_end', sequence))
    expect(await top()).toEqual([end('001')])
  })

  it('gives a second pipeline a folder of its own', async () => {
    const store = new FileCheckpointStore(directory)
    const [mine, other] = [checkpoint('full_sync_start', 5), checkpoint('full_sync_start', 6)]
    await store.save('shop', mine)
    expect(await store.load('blog')).toBeUndefined()
    await store.save('blog', other)
    expect(await top()).toEqual([start('000')])
    expect(await readdir(join(directory, 'blog'))).toEqual([start('001')])
    expect(await store.load('shop')).toEqual(mine)
    expect(await store.load('blog')).toEqual(other)
    expect((await stat(join(directory, 'blog'))).mode & 0o777).toBe(0o700)
  })

  it('gives the directory to exactly one of several pipelines that begin at once', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    await Promise.all(ids.map((id) => new FileCheckpointStore(directory).save(id, checkpoint('full_sync_start', 1))))
    expect(await top()).toHaveLength(1)
    for (const id of ids) expect(await new FileCheckpointStore(directory).load(id)).toBeDefined()
    expect((await readdir(directory)).filter((name) => name.startsWith('.'))).toEqual([])
  })

  it('goes on after a crash while the directory was claimed', async () => {
    await writeFile(join(directory, '.claim'), '')
    await utimes(join(directory, '.claim'), new Date(0), new Date(0))
    const store = new FileCheckpointStore(directory)
    await store.save('shop', checkpoint('full_sync_start', 5))
    expect(await top()).toEqual([start('000')])
  })

  it('refuses ids that cannot name a folder', async () => {
    const store = new FileCheckpointStore(directory)
    for (const id of ['old', 'OLD', '', '..', 'a/b', 'x'.repeat(65)]) {
      expect(await codeOf(store.save(id, checkpoint('incremental', 1)))).toBe('E_CONFIG')
      expect(await codeOf(store.load(id))).toBe('E_CONFIG')
    }
  })

  it('saves in the order of the calls', async () => {
    const store = new FileCheckpointStore(directory)
    await Promise.all(
      Array.from({ length: 20 }, (_, sequence) => store.save('shop', checkpoint('incremental', sequence))),
    )
    expect((await store.load('shop'))?.position).toBe('{"sequence":19,"gaps":[]}')
    expect(await readdir(directory)).toEqual(['checkpoint_incremental.json'])
  })

  it('is read whole while several stores write', async () => {
    const stores = Array.from({ length: 4 }, () => new FileCheckpointStore(directory))
    await stores[0]?.save('shop', checkpoint('incremental', 0))
    let writing = true
    const writes = Promise.all(
      stores.map(async (store, index) => {
        for (let save = 0; save < 15; save++) await store.save('shop', checkpoint('incremental', index * 100 + save))
      }),
    ).finally(() => {
      writing = false
    })
    let reads = 0
    while (writing) {
      expect((await new FileCheckpointStore(directory).load('shop'))?.kind).toBe('incremental')
      reads += 1
    }
    await writes
    expect(reads).toBeGreaterThan(0)
  })
})

describe('after a crash between two steps', () => {
  it('a start that is in place beats everything that was not yet moved', async () => {
    const store = new FileCheckpointStore(directory)
    for (const kind of ['full_sync_start', 'full_sync_end', 'incremental'] as const) {
      await store.save('shop', checkpoint(kind, 5))
    }
    const older = await top()
    tick = -1000 // The clock went back.
    const again = checkpoint('full_sync_start', 20)
    await store.save('shop', again)
    const restored = (name: string) =>
      name === 'checkpoint_incremental.json' ? 'checkpoint_incremental_2026-01-31T12-00-00.002Z.json' : name
    for (const name of older) await rename(join(directory, 'old', restored(name)), join(directory, name))
    expect(await top()).toHaveLength(4)
    expect(await store.load('shop')).toEqual(again)
    const done = checkpoint('full_sync_end', 21, 20)
    await store.save('shop', done)
    expect(await top()).toEqual([
      'checkpoint_full_sync_end_2026-01-31T11-59-59.001Z.json',
      'checkpoint_full_sync_start_2026-01-31T11-59-59.000Z.json',
    ])
    expect(await store.load('shop')).toEqual(done)
  })

  it('before the rename, the last checkpoint is still the one', async () => {
    const store = new FileCheckpointStore(directory)
    const saved = checkpoint('incremental', 5)
    await store.save('shop', saved)
    await writeFile(join(directory, '.checkpoint_incremental.json.1234.tmp'), '{"checkpoint": {"Post')
    expect(await store.load('shop')).toEqual(saved)
  })

  it('temporary files of long ago are removed with the next full sync', async () => {
    const store = new FileCheckpointStore(directory)
    await store.save('shop', checkpoint('full_sync_start', 5))
    const [abandoned, live] = ['.checkpoint_incremental.json.1.tmp', '.checkpoint_incremental.json.2.tmp']
    for (const name of [abandoned, live]) await writeFile(join(directory, name), '')
    await utimes(join(directory, abandoned), new Date(0), new Date(0))
    await store.save('shop', checkpoint('full_sync_start', 6))
    const left = await readdir(directory)
    expect(left).not.toContain(abandoned)
    expect(left).toContain(live)
  })
})

describe('a damaged file', () => {
  const stored = () => ({ checkpoint: checkpoint('incremental', 42), pipeline: 'shop', serial: 3 })
  const refused = (bytes: Uint8Array) => {
    try {
      decodeStored(bytes, 'the-file.json')
      return 'accepted'
    } catch (error) {
      return error instanceof SyncError ? error.code : error
    }
  }

  it('is noticed at every length', () => {
    const bytes = Buffer.from(encodeStored(stored()))
    const accepted = [...bytes.keys()].filter((length) => refused(bytes.subarray(0, length)) !== 'E_CHECKPOINT_CORRUPT')
    expect(accepted).toEqual([])
    expect(refused(bytes)).toBe('accepted')
  })

  it('is noticed at every single bit', () => {
    const bytes = Buffer.from(encodeStored(stored()))
    const accepted: number[] = []
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      if (refused(flipped) !== 'E_CHECKPOINT_CORRUPT') accepted.push(bit)
    }
    expect(accepted).toEqual([])
  })

  it('is named, with what to do, and neither loaded nor replaced', async () => {
    const store = new FileCheckpointStore(directory)
    await store.save('shop', checkpoint('full_sync_start', 5))
    await store.save('shop', checkpoint('full_sync_end', 6, 5))
    await store.save('shop', checkpoint('incremental', 7))
    const file = join(directory, 'checkpoint_incremental.json')
    const text = (await readFile(file, 'utf8')).replace('7', '8')
    for (const content of ['', '{}', '[]', 'null', '{"a":1}', 'not json', '\u0000\u0000', text]) {
      await writeFile(file, content)
      const error = await store.load('shop').catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'E_CHECKPOINT_CORRUPT' })
      expect(error).toHaveProperty('message', expect.stringContaining(file))
      expect(error).toHaveProperty('details.hint', expect.stringContaining('move it away'))
      expect(await codeOf(store.save('shop', checkpoint('incremental', 9)))).toBe('E_CHECKPOINT_CORRUPT')
      expect(await codeOf(store.load('other'))).toBe('E_CHECKPOINT_CORRUPT')
      expect(await readFile(file, 'utf8')).toBe(content)
    }
  })

  it('may be no file at all', async () => {
    const file = join(directory, 'checkpoint_incremental.json')
    const store = new FileCheckpointStore(directory)
    await mkdir(file)
    expect(await codeOf(store.load('shop'))).toBe('E_CHECKPOINT_CORRUPT')
    await rm(file, { recursive: true })
    await symlink('/dev/zero', file)
    expect(await codeOf(store.load('shop'))).toBe('E_CHECKPOINT_CORRUPT')
  })

  it('may be whole and under the name of another kind', async () => {
    const store = new FileCheckpointStore(directory)
    await store.save('shop', checkpoint('full_sync_start', 5))
    await rename(join(directory, start('000')), join(directory, end('000')))
    expect(await codeOf(store.load('shop'))).toBe('E_CHECKPOINT_CORRUPT')
  })

  it('may belong to another pipeline, or to a newer release', async () => {
    const store = new FileCheckpointStore(directory)
    await mkdir(join(directory, 'shop'))
    await writeFile(
      join(directory, 'shop', 'checkpoint_incremental.json'),
      encodeStored({ ...stored(), pipeline: 'x' }),
    )
    expect(await codeOf(store.load('shop'))).toBe('E_CHECKPOINT_FOREIGN')
    const newer = { ...stored(), checkpoint: { ...checkpoint('incremental', 1), kind: 'compacted' as CheckpointKind } }
    expect(refused(Buffer.from(encodeStored(newer)))).toBe('E_CHECKPOINT_FOREIGN')
  })
})

describe('a probe', () => {
  it('passes where a save would, and makes nothing', async () => {
    for (const path of [directory, join(directory, 'to', 'be', 'made')]) {
      await new FileCheckpointStore(path).probe('shop')
    }
    expect(await readdir(directory)).toEqual([])
  })

  it.each([['taken'], ['taken/below']])('refuses %s where a file is in the way', async (path) => {
    await writeFile(join(directory, 'taken'), '')
    const refused = new FileCheckpointStore(join(directory, path)).probe('shop')
    await expect(refused).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining(join(directory, 'taken')),
    })
  })
})

describe('a save that fails', () => {
  it('leaves the last checkpoint and no temporary file', async () => {
    const store = new FileCheckpointStore(directory)
    const saved = checkpoint('full_sync_start', 5)
    await store.save('shop', saved)
    await mkdir(join(directory, 'checkpoint_incremental.json'))
    expect(await codeOf(store.save('shop', checkpoint('incremental', 6)))).toMatch(/^E_/)
    await rm(join(directory, 'checkpoint_incremental.json'), { recursive: true })
    expect(await store.load('shop')).toEqual(saved)
    expect(await readdir(directory)).toEqual([start('000')])
    const next = checkpoint('incremental', 7)
    await store.save('shop', next)
    expect(await store.load('shop')).toEqual(next)
  })

  it('says that the directory is a file', async () => {
    await writeFile(join(directory, 'taken'), '')
    const error = await new FileCheckpointStore(join(directory, 'taken'))
      .save('shop', checkpoint('incremental', 1))
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining(join(directory, 'taken')) })
  })

  it('says that the directory may not be written to', async () => {
    const nobody = 65534
    const root = process.getuid?.() === 0
    await chmod(directory, 0o500)
    if (root) await chown(directory, nobody, nobody)
    const store = new FileCheckpointStore(directory)
    if (root) process.seteuid?.(nobody)
    try {
      const error = await store.save('shop', checkpoint('incremental', 1)).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining('EACCES') })
      expect(error).toHaveProperty('details.hint', expect.stringContaining('directory'))
    } finally {
      if (root) process.seteuid?.(0)
      await chmod(directory, 0o700)
    }
  })

  it('may be tried again when the disk was full', () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    expect(fileError(full, 'It cannot be written')).toMatchObject({
      code: 'E_BUSY',
      message: 'It cannot be written (ENOSPC)',
    })
  })
})

describe('files of older releases', () => {
  const timestamp = '2025-10-07T01:02:03.456789Z'
  const write = (name: string, content: unknown) => writeFile(join(directory, name), JSON.stringify(content))
  const oldStart = 'checkpoint_full_sync_start_2025-10-07T01:02:03.456789+00:00.json'
  const oldEnd = 'checkpoint_full_sync_end_2025-10-07T01:03:03.456789+00:00.json'

  it.each([
    [
      'sequence_id',
      { checkpoint: { PostgreSQL: { sequence_id: 12, timestamp } }, phase: 'full_sync_start', timestamp },
    ],
    ['sequence', { checkpoint: { PostgreSQL: { sequence: 12, timestamp } }, phase: 'full_sync_start', timestamp }],
    [
      'v0.2.0',
      {
        database_type: 'postgresql',
        checkpoint: { sequence_id: 12, timestamp },
        phase: 'FullSyncStart',
        created_at: timestamp,
      },
    ],
    [
      'v0.3.0',
      {
        checkpoint_data: JSON.stringify({ sequence_id: 12, timestamp }),
        database_type: 'postgresql',
        phase: 'full_sync_start',
        created_at: timestamp,
      },
    ],
  ])('are read: %s', async (_, content) => {
    await write(oldStart, content)
    expect(await new FileCheckpointStore(directory).load('shop')).toMatchObject({
      kind: 'full_sync_start',
      position: 'postgresql:sequence:12',
      resumeAfter: 'postgresql:sequence:12',
      timestamp,
    })
  })

  it('go on at t1, whatever t2 says', async () => {
    const content = (phase: string, sequence_id: number, time: string) => ({
      checkpoint: { PostgreSQL: { sequence_id, timestamp: time } },
      phase,
      timestamp: time,
    })
    await write(oldStart, content('full_sync_start', 12, timestamp))
    await write(oldEnd, content('full_sync_end', 0, '2025-10-07T01:03:03.456789+00:00'))
    const store = new FileCheckpointStore(directory)
    const loaded = await store.load('shop')
    expect(loaded).toMatchObject({
      kind: 'full_sync_end',
      position: 'postgresql:sequence:0',
      resumeAfter: 'postgresql:sequence:12',
    })
    const later = 'checkpoint_full_sync_start_2025-11-07T01:02:03.456789+00:00.json'
    await write(later, content('full_sync_start', 30, '2025-11-07T01:02:03.456789+00:00'))
    expect(await store.load('shop')).toMatchObject({ kind: 'full_sync_start', position: 'postgresql:sequence:30' })
    await rm(join(directory, oldStart))
    await rm(join(directory, later))
    expect(await codeOf(store.load('shop'))).toBe('E_CHECKPOINT_CORRUPT')
  })

  it('give way to newer ones', async () => {
    await write(oldStart, {
      checkpoint: { PostgreSQL: { sequence_id: 12, timestamp } },
      phase: 'full_sync_start',
      timestamp,
    })
    const store = new FileCheckpointStore(directory)
    const next = checkpoint('incremental', 13)
    await store.save('shop', next)
    expect(await store.load('shop')).toEqual(next)
    await store.save('shop', checkpoint('full_sync_start', 20))
    expect(await top()).toEqual([start('001')])
  })

  it.each([
    [
      'of another database',
      { checkpoint: { MySQL: { sequence_id: 1, timestamp } }, phase: 'full_sync_start', timestamp },
      'FOREIGN',
    ],
    [
      'of another reader',
      {
        checkpoint_data: '{"lsn":"0/1949850"}',
        database_type: 'postgresql-wal2json',
        phase: 'full_sync_start',
        created_at: timestamp,
      },
      'FOREIGN',
    ],
    ['without a number', { checkpoint: { PostgreSQL: { timestamp } }, phase: 'full_sync_start', timestamp }, 'CORRUPT'],
    [
      'with a negative number',
      { checkpoint: { PostgreSQL: { sequence_id: -1 } }, phase: 'full_sync_start', timestamp },
      'CORRUPT',
    ],
    [
      'with two numbers',
      { checkpoint: { PostgreSQL: { sequence: 1, sequence_id: 2 } }, phase: 'full_sync_start', timestamp },
      'CORRUPT',
    ],
    ['of no known phase', { checkpoint: { PostgreSQL: { sequence: 1 } }, phase: 'toString', timestamp }, 'CORRUPT'],
    [
      'with a broken inner document',
      { checkpoint_data: '{', database_type: 'postgresql', phase: 'full_sync_start', created_at: timestamp },
      'CORRUPT',
    ],
  ])('are refused: %s', async (_, content, code) => {
    await write(oldStart, content)
    expect(await codeOf(new FileCheckpointStore(directory).load('shop'))).toBe(`E_CHECKPOINT_${code}`)
  })
})
