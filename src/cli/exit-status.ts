/** Ends a command that did what it was asked for, with an exit code that says what came out. */
export class ExitStatus extends Error {
  readonly code: number

  constructor(code: number) {
    super(`exit ${code}`)
    this.code = code
  }
}
