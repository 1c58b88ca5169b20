/** What the library says, in the words of the command line. */

/** The flags by the options that they set. */
const flags: { readonly [option: string]: string } = {
  atRest: '--at-rest',
  auditBytesMax: '--audit-limit',
  auditLimitPolicy: '--audit-limit-policy',
  auditSchema: '--audit-schema',
  batchSize: '--batch-size',
  checkpoints: '--emit-checkpoints',
  connectionsMax: '--source-connections',
  concurrency: '--concurrency',
  deletes: '--deletes',
  excludeTables: '--exclude-tables',
  existing: '--existing',
  from: '--incremental-from',
  http: '--http',
  id: '--id',
  keyless: '--keyless',
  password: '--surreal-password',
  quarantine: '--quarantine',
  replay: '--replay',
  restart: '--restart',
  schemas: '--schemas',
  snapshot: '--snapshot',
  tables: '--tables',
  takeover: '--takeover',
  until: '--incremental-to',
  username: '--surreal-username',
  values: '--value',
}

/** An option as the library writes it, perhaps with its value: `existing: 'keep'`. */
const option = /`(\w+)(?:: '(\w+)')?`/g
/** A last alternative that an option offers. */
const alternative = /, or [^,.`]*`(\w+)`(?=\.?$)/

/** Puts flags in place of options, and leaves out the alternative that no flag offers. */
export function inFlags(text: string): string {
  return text
    .replace(alternative, (whole, name: string) => (Object.hasOwn(flags, name) ? whole : ''))
    .replace(option, (whole, name: string, value: string | undefined) => {
      const flag = Object.hasOwn(flags, name) ? flags[name] : undefined
      if (flag === undefined) return whole
      return value === undefined ? flag : `${flag} ${value}`
    })
}
