/** What flags say, checked. Everything here throws SyncError `E_CONFIG`. */
import { SyncError } from '../index.js'

const idPattern = /^[A-Za-z0-9_-]{1,64}$/

/** Commas inside of double quotes belong to a name. */
export function list(flag: string, text: string | readonly string[] | undefined): readonly string[] | undefined {
  if (typeof text !== 'string') return text
  const names = (text.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? []).map((name) => name.trim()).filter((name) => name !== '')
  if (names.length > 0) return names
  throw new SyncError('E_CONFIG', `${flag} names nothing`, { hint: 'Separate names by commas: users,shop.orders' })
}

export function choice<T extends string>(flag: string, choices: readonly T[], text: string | undefined, normal: T): T {
  if (text === undefined) return normal
  const chosen = choices.find((known) => known === text)
  if (chosen !== undefined) return chosen
  throw new SyncError('E_CONFIG', `${flag} must be one of ${choices.join(', ')}`)
}

export function wholeNumber(flag: string, text: string, max: number): number {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= max) return number
  throw new SyncError('E_CONFIG', `${flag} must be a whole number from 1 to ${max}`)
}

export function checkId(id: string): string {
  if (idPattern.test(id)) return id
  throw new SyncError('E_CONFIG', '--id must be made of 1 to 64 letters, digits, _ and -')
}
