/** One folder with the checkpoint files of one pipeline. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CheckpointKind } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import { corrupt, decodeStored, type StoredCheckpoint } from './file-content.js'

/** A checkpoint file that was read. */
export interface CheckpointFile extends StoredCheckpoint {
  /** Without the folder. */
  readonly name: string
}

const bytesMax = 64 * 1_048_576
const temporaryAgeMaxMs = 3_600_000
const claimAgeMaxMs = 5_000
const claimPollMs = 20
const claimTriesMax = 500
const names = /^checkpoint_(?:(full_sync_start|full_sync_end)_[^/\\]+|(full_progress|incremental))\.json$/
const temporaryName = /^\.checkpoint_.*\.tmp$/
// Windows knows neither of them.
const noFollow = constants.O_NOFOLLOW ?? 0
const noBlock = constants.O_NONBLOCK ?? 0

/** The name of the file for a checkpoint of this kind. Legal on every file system. */
export function fileName(kind: CheckpointKind, timestamp: string): string {
  if (kind === 'full_progress' || kind === 'incremental') return `checkpoint_${kind}.json`
  return `checkpoint_${kind}_${fileTime(timestamp)}.json`
}

/** Every checkpoint in the folder. None if there is no folder. @throws SyncError if one of them cannot be trusted */
export async function readFolder(folder: string): Promise<readonly CheckpointFile[]> {
  const files: CheckpointFile[] = []
  for (const name of await list(folder)) {
    const match = names.exec(name)
    if (match === null) continue
    const bytes = await read(folder, name)
    if (bytes === undefined) continue
    const stored = decodeStored(bytes, `file ${join(folder, name)}`)
    if (stored.checkpoint.kind !== (match[1] ?? match[2])) {
      throw corrupt(`file ${join(folder, name)}`, 'has the name of another kind of checkpoint')
    }
    files.push({ ...stored, name })
  }
  return files
}

/** Makes the folder, for its owner alone. One that exists stays as it is. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 })
    if (made !== undefined) await syncFolder(dirname(made))
  } catch (error) {
    throw fileError(error, `The checkpoint directory ${folder} cannot be made`)
  }
}

/**
 * Whether files could be written here, or the folder made, as far as that can be told without doing it: a full disk, for
 * one, cannot. @throws SyncError `E_CONFIG`
 */
export async function probeFolder(folder: string): Promise<void> {
  try {
    await access(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    const parent = dirname(resolve(folder))
    if (codeOf(error) === 'ENOENT' && parent !== resolve(folder)) return await probeFolder(parent)
    throw fileError(error, `The checkpoint directory ${folder} cannot be written to`)
  }
  if (!(await stat(folder)).isDirectory()) throw notFolder(folder)
}

function notFolder(folder: string): SyncError {
  return new SyncError('E_CONFIG', `${folder} is not a directory, so checkpoints cannot be saved there`, {
    hint: 'Choose a directory that this user may write to.',
  })
}

/** Puts a file in place, or leaves the one that is there. Resolves when it would survive a loss of power. */
export async function writeDurably(folder: string, name: string, text: string): Promise<void> {
  const temporary = join(folder, `.${name}.${randomUUID()}.tmp`)
  try {
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow, 0o600)
    await closing(handle, async () => {
      await handle.writeFile(text)
      await handle.sync()
    })
    await rename(temporary, join(folder, name))
    await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw fileError(error, `The checkpoint file ${join(folder, name)} cannot be written`)
  }
}

/** Moves files that are no longer current into `old`, and removes what a crash left behind long ago. */
export async function archive(folder: string, files: readonly CheckpointFile[]): Promise<void> {
  if (files.length === 0) return
  const old = join(folder, 'old')
  await makeFolder(old)
  try {
    for (const { name, checkpoint } of files) {
      await move(join(folder, name), join(old, archivedName(name, checkpoint.timestamp)))
    }
    await syncFolder(old)
    await syncFolder(folder)
  } catch (error) {
    throw fileError(error, `Older checkpoint files cannot be moved to ${old}`)
  }
  await removeAbandoned(folder)
}

/** Runs the work while no other process does the same in this directory. */
export async function claiming<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const claim = join(directory, '.claim')
  for (let tries = 1; !(await claimed(claim)); tries += 1) {
    if (tries === claimTriesMax)
      throw new SyncError('E_BUSY', `Another run is writing the first checkpoint of ${directory}`)
    await sleep(claimPollMs)
  }
  try {
    return await work()
  } finally {
    await rm(claim, { force: true }).catch(() => undefined)
  }
}

/** The error of the file system as one of ours. */
export function fileError(error: unknown, message: string): unknown {
  const code = codeOf(error)
  if (code === undefined) return error
  const passes = ['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'ESTALE'].includes(code)
  return new SyncError(passes ? 'E_BUSY' : 'E_CONFIG', `${message} (${code})`, {
    hint: passes
      ? 'Make room on that disk, or look at what else this machine runs short of.'
      : 'Choose a directory that this user may write to.',
    cause: error,
  })
}

async function claimed(claim: string): Promise<boolean> {
  try {
    await (await open(claim, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow, 0o600)).close()
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST')
      throw fileError(error, `The checkpoint directory ${dirname(claim)} cannot be written to`)
  }
  // Whoever made it may have crashed: it is held for milliseconds.
  const age = await ageMs(claim)
  if (age !== undefined && age > claimAgeMaxMs) await rm(claim, { force: true })
  return false
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw fileError(error, `The checkpoint directory ${folder} cannot be read`)
  }
}

/** Undefined: it was moved away since it was listed. */
async function read(folder: string, name: string): Promise<Uint8Array | undefined> {
  const file = join(folder, name)
  try {
    const handle = await open(file, constants.O_RDONLY | noFollow | noBlock)
    return await closing(handle, async () => {
      const found = await handle.stat()
      if (!found.isFile()) throw corrupt(`file ${file}`, 'is not a file')
      if (found.size > bytesMax) throw corrupt(`file ${file}`, 'is too large')
      return await handle.readFile()
    })
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw corrupt(`file ${file}`, 'is a symbolic link')
    throw fileError(error, `The checkpoint file ${file} cannot be read`)
  }
}

/** Somebody else may have moved it. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await list(folder)) {
    if (!temporaryName.test(name)) continue
    const age = await ageMs(join(folder, name))
    if (age !== undefined && age > temporaryAgeMaxMs) await unlink(join(folder, name)).catch(() => undefined)
  }
}

async function ageMs(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined)
  return found === undefined ? undefined : Date.now() - found.mtimeMs
}

/** Makes renames durable. Windows does it by itself and cannot open a folder. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, constants.O_RDONLY)
  await closing(handle, () => handle.sync())
}

async function closing<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await handle.close()
  }
}

function archivedName(name: string, timestamp: string): string {
  const fixed = name === fileName('incremental', timestamp) || name === fileName('full_progress', timestamp)
  return fixed ? name.replace(/\.json$/, `_${fileTime(timestamp)}.json`) : name
}

function fileTime(timestamp: string): string {
  const time = new Date(timestamp)
  if (Number.isNaN(time.getTime()))
    throw new SyncError('E_CONFIG', 'The timestamp of a checkpoint is not an ISO 8601 time')
  return time.toISOString().replaceAll(':', '-')
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof SyncError || !(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
