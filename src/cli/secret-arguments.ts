/** Passwords among the arguments, where every user of the machine can read them. */

/** By the variables that should be used instead. */
const secretFlags: { readonly [flag: string]: string } = {
  '--source-uri': 'SOURCE_URI',
  '--source-password': 'SOURCE_PASSWORD',
  '--surreal-password': 'SURREAL_PASSWORD',
  '--surreal-token': 'SURREAL_TOKEN',
}

interface SecretArgument {
  readonly flag: string
  readonly variable: string
}

/** A password in a URI: behind a colon before the last @, or a parameter. */
const uriWithSecret = /^[a-z+]+:\/\/[^@]*:.*@|[?&](ssl)?password=/is

/** The flags that have a secret for a value. */
export function secretArguments(argv: readonly string[]): readonly SecretArgument[] {
  const flags = argv.flatMap((argument, index) => {
    const { flag, value } = split(argument, argv[index + 1])
    return isSecret(flag, value) ? [flag] : []
  })
  return [...new Set(flags)].map((flag) => ({ flag, variable: secretFlags[flag] ?? '' }))
}

/** The same arguments, to be shown. */
export function withoutSecrets(argv: readonly string[]): readonly string[] {
  return argv.map((argument, index) => {
    const before = argv[index - 1]
    if (before !== undefined && !before.includes('=') && isSecret(before, argument)) return '***'
    const { flag, value } = split(argument, undefined)
    return isSecret(flag, value) ? `${flag}=***` : argument
  })
}

function split(argument: string, next: string | undefined): { readonly flag: string; readonly value?: string } {
  const at = argument.indexOf('=')
  if (!argument.startsWith('--') || at < 0) return { flag: argument, ...(next === undefined ? {} : { value: next }) }
  return { flag: argument.slice(0, at), value: argument.slice(at + 1) }
}

function isSecret(flag: string, value: string | undefined): boolean {
  if (value === undefined || !Object.hasOwn(secretFlags, flag)) return false
  return flag !== '--source-uri' || uriWithSecret.test(value)
}
