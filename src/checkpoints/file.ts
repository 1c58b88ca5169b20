/** Checkpoints in files, for the command line and for programs with a disk. */
import { join } from 'node:path'
import type { Checkpoint, CheckpointKind, CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import { corrupt, encodeStored, foreign } from './file-content.js'
import {
  archive,
  type CheckpointFile,
  claiming,
  fileName,
  makeFolder,
  probeFolder,
  readFolder,
  writeDurably,
} from './file-folder.js'

/**
 * Keeps the checkpoints of pipelines in a directory: `checkpoint_full_sync_start_<time>.json`,
 * `checkpoint_full_sync_end_<time>.json`, `checkpoint_full_progress.json` and `checkpoint_incremental.json`. The pipeline
 * that comes first has the directory itself; each further one has the folder in it that is named by its id.
 *
 * A new full sync moves what was there to `old`. A file takes the place of its predecessor at once or not at all, and a
 * file that was damaged is refused. A number that grows with every save tells which file is the newest, so a crash
 * between two steps never makes an older state current again.
 */
export class FileCheckpointStore implements CheckpointStore {
  readonly #directory: string
  #lastSave: Promise<void> = Promise.resolve()

  /** @param directory made, for its owner alone, at the first save */
  constructor(directory = './.surreal-sync-checkpoints') {
    this.#directory = directory
  }

  async load(syncId: string): Promise<Checkpoint | undefined> {
    const { folder, files } = await this.#locate(syncId)
    return newest(folder ?? this.#directory, files)
  }

  /** @throws SyncError `E_CONFIG` if the directory, or what it would be made in, cannot be written to */
  async probe(syncId: string): Promise<void> {
    const { folder } = await this.#locate(syncId)
    await probeFolder(folder ?? this.#directory)
  }

  /** One save at a time, in the order of the calls. */
  save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    const save = this.#lastSave.then(() => this.#save(syncId, checkpoint))
    this.#lastSave = save.catch(() => undefined)
    return save
  }

  async #save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    await makeFolder(this.#directory)
    const place = await this.#locate(syncId)
    if (place.folder !== undefined) return put(place.folder, place.files, syncId, checkpoint)
    await claiming(this.#directory, async () => {
      const now = await this.#locate(syncId)
      await put(now.folder ?? this.#directory, now.files, syncId, checkpoint)
    })
  }

  /** Where this pipeline's files are or belong. No folder: the directory is still free. */
  async #locate(syncId: string): Promise<{ folder: string | undefined; files: readonly CheckpointFile[] }> {
    const own = join(this.#directory, folderName(syncId))
    const inOwn = await readFolder(own)
    const stranger = inOwn.find(({ pipeline }) => pipeline !== undefined && pipeline !== syncId)
    if (stranger !== undefined) throw foreign(`file ${join(own, stranger.name)}`, 'belongs to another pipeline')
    if (inOwn.length > 0) return { folder: own, files: inOwn }
    const files = await readFolder(this.#directory)
    if (files.length === 0) return { folder: undefined, files }
    const others = files.filter(({ pipeline }) => pipeline !== undefined && pipeline !== syncId)
    if (others.length === 0) return { folder: this.#directory, files }
    const mixed = files.some(({ pipeline }) => pipeline === syncId) ? others[0] : undefined
    if (mixed !== undefined)
      throw foreign(`file ${join(this.#directory, mixed.name)}`, 'is among those of another pipeline')
    return { folder: own, files: [] }
  }
}

const idPattern = /^[A-Za-z0-9_-]{1,64}$/

function folderName(syncId: string): string {
  if (idPattern.test(syncId) && syncId.toLowerCase() !== 'old') return syncId
  throw new SyncError('E_CONFIG', 'The pipeline id cannot be the name of a folder for checkpoints', {
    hint: 'Choose an id of 1 to 64 letters, digits, _ and - that is not "old".',
  })
}

async function put(
  folder: string,
  files: readonly CheckpointFile[],
  pipeline: string,
  checkpoint: Checkpoint,
): Promise<void> {
  const { kind, timestamp } = checkpoint
  const serial = Math.max(0, ...files.map((file) => file.serial)) + 1
  const name = fileName(kind, timestamp)
  await makeFolder(folder)
  await writeDurably(folder, name, encodeStored({ checkpoint, pipeline, serial }))
  const starts = files.filter((file) => file.checkpoint.kind === 'full_sync_start').map((file) => file.serial)
  const start = kind === 'full_sync_start' ? serial : Math.max(0, ...starts)
  const ended: readonly CheckpointKind[] = kind === 'full_sync_end' ? ['full_sync_end', 'full_progress'] : []
  const superseded = files.filter((file) => file.serial < start || ended.includes(file.checkpoint.kind))
  await archive(
    folder,
    startsFirst(superseded).filter((file) => file.name !== name),
  )
}

/** So that there is more than one `…_start_*` for the shortest time. */
function startsFirst(files: readonly CheckpointFile[]): readonly CheckpointFile[] {
  const rank = ({ checkpoint }: CheckpointFile) => (checkpoint.kind === 'full_sync_start' ? 0 : 1)
  return [...files].sort((a, b) => rank(a) - rank(b))
}

/** The least that a checkpoint of a kind claims. Decides only where two runs of one pipeline wrote at once. */
const claims: readonly CheckpointKind[] = ['full_sync_start', 'full_progress', 'full_sync_end', 'incremental']

function newest(folder: string, files: readonly CheckpointFile[]): Checkpoint | undefined {
  const ours = files
    .filter(({ serial }) => serial > 0)
    .sort((a, b) => b.serial - a.serial || claims.indexOf(a.checkpoint.kind) - claims.indexOf(b.checkpoint.kind))
  return ours[0]?.checkpoint ?? newestOlder(folder, files)
}

/** Older releases left the files of every full sync in place. The newest start counts, and an end if it came after it. */
function newestOlder(folder: string, files: readonly CheckpointFile[]): Checkpoint | undefined {
  const latest = (kind: CheckpointKind) =>
    files
      .filter(({ checkpoint }) => checkpoint.kind === kind)
      .sort((a, b) => Date.parse(b.checkpoint.timestamp) - Date.parse(a.checkpoint.timestamp))[0]
  const start = latest('full_sync_start')?.checkpoint
  const end = latest('full_sync_end')
  if (end === undefined) return start
  if (start === undefined)
    throw corrupt(`file ${join(folder, end.name)}`, 'lacks its full_sync_start, which says where to go on')
  if (Date.parse(end.checkpoint.timestamp) < Date.parse(start.timestamp)) return start
  return { ...end.checkpoint, resumeAfter: start.position }
}
