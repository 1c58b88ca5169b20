/** What a test and the process of its SurrealDB stand-in say to each other over the IPC channel. */

/** One disturbance of one request. */
export interface SurrealFault {
  /** `before`: the engine never sees the request. `after`: it has executed it, and the answer is not sent. */
  readonly when: 'before' | 'after'
  /**
   * `cut`: the connection is destroyed. `drop`: it stays open and the client waits for ever. `expire`: the session is over, as it
   * is when its token expires; the answer says so. `timeout`: its statements fail, each by itself, because they took too long.
   */
  readonly action: 'cut' | 'drop' | 'expire' | 'timeout'
  /** Which of the matching requests that arrive from now on, counted from 1. @defaultValue 1 */
  readonly nth?: number
  /** Count only queries whose text contains this. @defaultValue every query; never `use`, `signin`, `ping` … */
  readonly matching?: string
}

/** How to start the stand-in; the first argument of its process, as JSON. */
export interface SurrealSetup {
  readonly storage: string
  readonly username: string
  readonly password: string
  readonly port: number
}

/** A command to the stand-in; each is answered with `done` once it has taken effect. */
export type SurrealCommand =
  | { readonly kind: 'cutAll' | 'pause' | 'resume' | 'stop' }
  | { readonly kind: 'fault'; readonly fault: SurrealFault }

/** A command with the number its answers carry. */
export interface SurrealRequest {
  readonly id: number
  readonly command: SurrealCommand
}

/** What the stand-in reports; `triggered` follows the `done` of a fault when it has happened. */
export type SurrealReport =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'done' | 'triggered'; readonly id: number }

/** Recognises a message of the parent. */
export function isRequest(message: unknown): message is SurrealRequest {
  return typeof message === 'object' && message !== null && 'id' in message && 'command' in message
}

/** Recognises a message of the stand-in; a loader may send messages of its own. */
export function isReport(message: unknown): message is SurrealReport {
  const kinds: readonly unknown[] = ['listening', 'failed', 'done', 'triggered']
  return typeof message === 'object' && message !== null && 'kind' in message && kinds.includes(message.kind)
}
