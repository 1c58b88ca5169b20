/** Listeners that are taken away together. */
import type { SyncEvents } from '../core/events.js'

/** The part of an engine that is listened to. */
export interface EventSource {
  on<E extends keyof SyncEvents>(event: E, listener: (payload: SyncEvents[E][0]) => void): unknown
  off<E extends keyof SyncEvents>(event: E, listener: (payload: SyncEvents[E][0]) => void): unknown
}

interface Listening {
  readonly on: EventSource['on']
  /** Takes all of them away. */
  readonly end: () => void
}

export function listening(engine: EventSource): Listening {
  const undo: (() => void)[] = []
  return {
    on: (event, listener) => {
      engine.on(event, listener)
      undo.push(() => engine.off(event, listener))
    },
    end: () => {
      for (const one of undo.splice(0)) one()
    },
  }
}
