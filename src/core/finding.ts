/** What an examination found out about one thing. */

export interface Finding {
  /** Stable, for scripts: `source.rights.read`, `target.connection`, … */
  readonly id: string
  /** `warning`: a run works, but not as well as it could. `problem`: a run is refused, or will fail. */
  readonly outcome: 'ok' | 'warning' | 'problem'
  /** One sentence. Contains no secret and no cell value. */
  readonly message: string
  /** One sentence: what to do about it. Of everything but `ok`. */
  readonly remedy?: string
  /** The source's label of the table that it is about. */
  readonly table?: string
}
