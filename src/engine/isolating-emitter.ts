/** An emitter whose listeners can harm neither one another nor whoever emits. */
import { EventEmitter } from 'eventemitter3'
import type { SyncEvents } from '../core/events.js'
import { nameOf } from './name-of.js'

type Name = keyof SyncEvents
type Payload<E extends Name> = EventEmitter.EventArgs<SyncEvents, E>

/**
 * Calls every listener, in the order of registration, whatever those before it do. One that throws, or returns a promise
 * that rejects, is reported once, as a `warning` of the code `listener_failed`; it goes on being called. Promises are not
 * waited for. `this` is the emitter.
 */
export class IsolatingEmitter extends EventEmitter<SyncEvents> {
  readonly #reported = new WeakSet<object>()

  override emit<E extends Name>(event: E, ...payload: Payload<E>): boolean {
    const listeners = this.listeners(event)
    for (const listener of listeners) {
      // As the one-time listener that it may be registered as; otherwise it stays.
      this.removeListener(event, listener, undefined, true)
      this.#call(event, listener, payload)
    }
    return listeners.length > 0
  }

  #call<E extends Name>(event: E, listener: (...payload: Payload<E>) => unknown, payload: Payload<E>): void {
    try {
      const result = listener.apply(this, payload)
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(event, listener, error))
    } catch (error) {
      this.#failed(event, listener, error)
    }
  }

  /** There is nobody left to tell when those who hear warnings fail. */
  #failed(event: Name, listener: object, error: unknown): void {
    if (event === 'warning' || this.#reported.has(listener)) return
    this.#reported.add(listener)
    const message = `A listener of the ${event} event threw (${nameOf(error)}); the run goes on`
    this.emit('warning', { code: 'listener_failed', message })
  }
}
