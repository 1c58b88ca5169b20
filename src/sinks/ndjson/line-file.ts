/** A file of lines that only grows by whole, durable appends. */
import { constants } from 'node:fs'
import { access, type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SyncError, type SyncErrorCode } from '../../core/errors.js'

const codes: { readonly [code: string]: SyncErrorCode } = {
  ENOSPC: 'E_BUSY',
  EDQUOT: 'E_BUSY',
  EMFILE: 'E_BUSY',
  ENFILE: 'E_BUSY',
  EACCES: 'E_CONFIG',
  EPERM: 'E_CONFIG',
  EROFS: 'E_CONFIG',
  ENOENT: 'E_CONFIG',
  ENOTDIR: 'E_CONFIG',
  EISDIR: 'E_CONFIG',
}

/** How much of the end is searched for the last line break at a time. */
const searchBytes = 65_536

export class LineFile {
  readonly #path: string
  #file: FileHandle | undefined
  /** The end of the last append that was durable. What is behind it is torn, and is overwritten. */
  #length = 0
  #torn = false

  constructor(path: string) {
    this.#path = path
  }

  /** Whether the file could be written to, as far as that can be told without doing it. @throws SyncError `E_CONFIG` */
  async probe(): Promise<void> {
    try {
      const found = await stat(this.#path).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return undefined
        throw error
      })
      if (found === undefined) await access(dirname(this.#path), constants.W_OK | constants.X_OK)
      else if (found.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
      else await access(this.#path, constants.W_OK)
    } catch (error) {
      throw this.#error(error)
    }
  }

  /** Resolves when the text is on disk. One call at a time. @throws SyncError */
  async append(text: string): Promise<void> {
    try {
      const file = await this.#opened()
      if (this.#torn) await file.truncate(this.#length)
      this.#torn = true
      const bytes = Buffer.from(text)
      for (let written = 0; written < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, written, bytes.length - written, this.#length + written)
        written += bytesWritten
      }
      await file.datasync()
      this.#length += bytes.length
      this.#torn = false
    } catch (error) {
      throw this.#error(error)
    }
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const { size } = await file.stat()
    this.#length = await endOfLines(file, size)
    this.#torn = this.#length < size
    if (size === 0) await syncFolder(dirname(this.#path))
    this.#file = file
    return file
  }

  #error(error: unknown): unknown {
    const code = codeOf(error)
    if (error instanceof SyncError || code === undefined) return error
    return new SyncError(codes[code] ?? 'E_TARGET', `The file ${this.#path} cannot be written (${code})`, {
      hint: 'Choose a file in a directory that exists, that this user may write to, and whose disk has room.',
      cause: error,
    })
  }
}

/** The position behind the last line break. */
async function endOfLines(file: FileHandle, size: number): Promise<number> {
  const bytes = Buffer.alloc(searchBytes)
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - searchBytes)
    const { bytesRead } = await file.read(bytes, 0, end - start, start)
    const found = bytes.subarray(0, bytesRead).lastIndexOf('\n')
    if (found >= 0) return start + found + 1
    end = start
  }
  return 0
}

/** So that a new file is found after a loss of power. Windows can do without. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = Reflect.get(Object(error), 'code')
  return typeof code === 'string' ? code : undefined
}
