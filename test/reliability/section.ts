/** One section of the reliability report: what was asked of it, and what came out. */

export interface SectionOptions {
  /** Repeats the random choices, though not the moments at which processes meet. */
  readonly seed: number
  /** The form that takes a minute or so. */
  readonly short: boolean
  /** What `--name N` says, else the amount for the form that runs. */
  amount(name: AmountName, amounts: { readonly long: number; readonly short: number }): number
  /** Tells how far it is. */
  log(line: string): void
}

/** The flags that say how much of something. */
export const amountNames = ['cycles', 'minutes', 'changes', 'gigabytes', 'runs', 'reads'] as const
export type AmountName = (typeof amountNames)[number]

export type Figure = number | string | boolean | null | readonly Figure[] | { readonly [name: string]: Figure }

export interface SectionResult {
  /** One sentence: what was done, and what had to hold. */
  readonly what: string
  readonly figures: { readonly [name: string]: Figure }
  /** What was wrong, in a sentence each; none: passed. */
  readonly failures: readonly string[]
  /** Of the databases that took part. */
  readonly versions?: { readonly postgresql?: string; readonly surrealdb?: string }
}

/** Runs a section. What it throws is a failure of the section, too. */
export type Section = (options: SectionOptions) => Promise<SectionResult>
