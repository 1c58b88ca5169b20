/** Copying waits while somebody who reads from the same server has fallen behind. */
import { EventEmitter, once } from 'node:events'
import type { SyncWarning } from '../../core/events.js'
import type { Abortable, Chunk, ReadOptions, Snapshot } from '../../core/source.js'

export class CopyPause {
  readonly #warn: (warning: SyncWarning) => void
  /** Who is waited for. */
  readonly #behind = new Set<string>()
  /** `resumed`, heard by as many readers as there are. */
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor(warn: (warning: SyncWarning) => void) {
    this.#warn = warn
  }

  /** @param behind By how much someone is further behind than he may be. Undefined: he is not. */
  look(someone: string, behind: string | undefined): void {
    const waited = this.#behind.size > 0
    if (behind === undefined) this.#behind.delete(someone)
    else if (!this.#behind.has(someone)) {
      this.#behind.add(someone)
      this.#warn({ code: 'source_paused', message: `Copying pauses: ${behind}` })
    }
    if (!waited || this.#behind.size > 0) return
    this.#events.emit('resumed')
    this.#warn({ code: 'source_resumed', message: 'Copying goes on: whoever it waited for has caught up' })
  }

  /** For good. */
  end(): void {
    this.#behind.clear()
    this.#events.emit('resumed')
  }

  /** The same snapshot, each part of which begins when nobody is waited for. */
  over(snapshot: Snapshot): Snapshot {
    const clear = (options: Abortable) => this.#clear(options)
    return {
      position: snapshot.position,
      chunks: (table, options) => snapshot.chunks(table, options),
      async *read(chunk: Chunk, options: ReadOptions) {
        await clear(options)
        yield* snapshot.read(chunk, options)
      },
      absent: snapshot.absent && ((table, keys, options) => snapshot.absent?.(table, keys, options) ?? noAnswer()),
      [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
    }
  }

  async #clear({ signal }: Abortable): Promise<void> {
    while (this.#behind.size > 0) {
      await once(this.#events, 'resumed', { signal }).catch(() => signal?.throwIfAborted())
    }
  }
}

function noAnswer(): never {
  throw new TypeError('This snapshot does not know which keys are absent')
}
