/** How conformance kits report: every check belongs to an invariant, and a failure begins with its name. */

/** The two functions of a test runner that a kit needs: those of vitest, jest, mocha and `node:test` fit. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/** The invariants of docs/protocol.md that kits check. */
export type Invariant =
  | 'I1'
  | 'I2'
  | 'I3'
  | 'I4'
  | 'I5'
  | 'I6'
  | 'I7'
  | 'I8'
  | 'I10'
  | 'C1'
  | 'C2'
  | 'C3'
  | 'C4'
  | 'C5'
  | 'C6'
  | 'L1'
  | 'L2'
  | 'L3'

/** What a kit throws. The message begins with the invariant that is broken: `I4: …`. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
  readonly invariant: Invariant

  constructor(invariant: Invariant, message: string, options?: ErrorOptions) {
    super(`${invariant}: ${message}`, options)
    this.invariant = invariant
  }
}

/** The tests of one kit for one subject, each with a subject of its own that is closed whatever happens. */
export class Suite<Subject extends { close?(): Promise<unknown> }> {
  readonly #it: TestRunner['it']
  readonly #create: () => Subject | Promise<Subject>

  constructor(it: TestRunner['it'], create: () => Subject | Promise<Subject>) {
    this.#it = it
    this.#create = create
  }

  /** @param body checks one promise; whatever it throws counts as that invariant's failure */
  test(invariant: Invariant, promise: string, body: (subject: Subject) => Promise<void>): void {
    this.#it(`${invariant}: ${promise}`, async () => {
      const subject = await this.#create()
      try {
        await body(subject)
      } catch (error) {
        if (error instanceof InvariantError) throw error
        throw new InvariantError(invariant, `${promise}: ${describeFailure(error)}`, { cause: error })
      } finally {
        await subject.close?.()
      }
    })
  }
}

/** @throws InvariantError unless the condition holds */
export function demand(invariant: Invariant, condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(invariant, message)
}

/** How long one call may take. A real database on a busy machine needs far less. */
const callMsMax = 30_000

/** Waits for a call that must settle. @throws InvariantError if it does not */
export async function within<T>(invariant: Invariant, what: string, call: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new InvariantError(invariant, `${what} did not settle within ${callMsMax / 1_000} s`))
    }, callMsMax)
  })
  try {
    return await Promise.race([call, late])
  } finally {
    clearTimeout(timer)
  }
}

/** How a call settled. */
export async function outcome<T>(
  call: Promise<T>,
): Promise<{ readonly value: T; readonly failed: false } | { readonly error: unknown; readonly failed: true }> {
  try {
    return { value: await call, failed: false }
  } catch (error) {
    return { error, failed: true }
  }
}

/** A thrown value in a few words. */
export function describeFailure(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
