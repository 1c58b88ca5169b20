/** `--value interval=string`, `--value timestamptz.infinity=null`, `--value public.events.took.interval=object`. */
import { type SurrealSinkSettings, SyncError } from '../index.js'

type Values = NonNullable<SurrealSinkSettings['values']>

/** The option and its choice; before them a type, or a column if there is a point in it. */
const pattern = /^(?:(.+)\.)?([a-z]+)=([a-z]+)$/is

/** The first choice of each is the default. */
export const valueHelp = `
Forms of values:
  nulls=null|none                     NULL as null, or as no field at all
  interval=duration|string|object     months and signs make it text
  date=datetime|string                midnight UTC, or 2024-02-29
  uuid=uuid|string
  ranges=range|object
  geometry=geometry|object
  numericOverflow=string|float|error  beyond 96 bits or 28 decimal places
  infinity=string|null|error          infinite or too distant times

  --value interval=string                     for all columns
  --value timestamptz.infinity=null           for the columns of a type
  --value public.events.took.interval=object  for one column`

/** What was chosen, unchecked: the sink knows the choices. `undefined`: nothing. @throws SyncError `E_CONFIG` */
export function parseValues(texts: readonly string[] | undefined): Values | undefined {
  if (texts === undefined || texts.length === 0) return undefined
  const general: Record<string, string> = {}
  const types: Record<string, Record<string, string>> = {}
  const columns: Record<string, Record<string, string>> = {}
  for (const text of texts) {
    const match = pattern.exec(text)
    if (match === null) {
      throw new SyncError('E_CONFIG', `--value ${text} does not choose anything`, {
        hint: 'Write interval=string, timestamptz.infinity=null or public.events.took.interval=object.',
      })
    }
    const [, target, name = '', choice = ''] = match
    if (target === undefined) general[name] = choice
    else if (target.includes('.')) columns[target] = { ...columns[target], [name]: choice }
    else types[target] = { ...types[target], [name]: choice }
  }
  return { ...general, types, columns } as Values
}
