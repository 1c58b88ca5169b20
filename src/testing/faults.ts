/** What can go wrong with one call. */

/** Stands around a call of a source, a sink or a store. Tests may write their own. */
export interface Fault {
  /** Makes the call, or does not, and settles as the caller shall see it. */
  around<T>(call: () => Promise<T>): Promise<T>
}

/** The call is refused: it fails and has no effect. */
export class Reject implements Fault {
  readonly #error: unknown

  constructor(error: unknown) {
    this.#error = error
  }

  async around<T>(): Promise<T> {
    throw this.#error
  }
}

/** The call takes effect, but its answer is lost: the caller sees an error. */
export class FailAfterWrite implements Fault {
  readonly #error: unknown

  constructor(error: unknown) {
    this.#error = error
  }

  async around<T>(call: () => Promise<T>): Promise<T> {
    await call()
    throw this.#error
  }
}

/** The call takes effect, but its answer arrives only when the test says so. For one call. */
export class HoldResponse implements Fault {
  /** Resolves when the call has taken effect and its answer is being held. */
  readonly held: Promise<void>
  readonly #released: Promise<void>
  #hold: () => void = () => undefined
  #release: () => void = () => undefined

  constructor() {
    this.held = new Promise((resolve) => {
      this.#hold = resolve
    })
    this.#released = new Promise((resolve) => {
      this.#release = resolve
    })
  }

  /** Lets the answer arrive. May come before the call. */
  release(): void {
    this.#release()
  }

  async around<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } finally {
      this.#hold()
      await this.#released
    }
  }
}

/** The call takes effect, but its answer arrives late. */
export class RespondSlowly implements Fault {
  readonly #wait: () => Promise<unknown>

  /** @param wait - resolves when the answer may arrive: a timer, or a few turns of the event loop */
  constructor(wait: () => Promise<unknown>) {
    this.#wait = wait
  }

  async around<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } finally {
      await this.#wait()
    }
  }
}

/** The call is made twice, one after the other, as when a network layer sends it again. Of a read it makes one call. */
export class Duplicate implements Fault {
  async around<T>(call: () => Promise<T>): Promise<T> {
    await call()
    return call()
  }
}
