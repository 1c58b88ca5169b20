/** Errors of drivers, whose messages quote what they were about. */

/** Names of things and places, never of what is in them. */
const harmless = ['code', 'severity', 'kind', 'status', 'errno', 'syscall', 'schema', 'table', 'constraint', 'routine']
const depthMax = 5

/**
 * A copy of an error to be the `cause` of another: its name, codes and where it was thrown, and so of its own causes. Whatever
 * may quote a value is left out, the message included.
 * @param messageOf What may be said of each of them instead.
 */
export function withoutValues(error: unknown, messageOf: (error: unknown) => string): Error | undefined {
  return copy(error, messageOf, depthMax)
}

function copy(error: unknown, messageOf: (error: unknown) => string, depth: number): Error | undefined {
  if (!(error instanceof Error) || depth === 0) return undefined
  const cause = copy(error.cause, messageOf, depth - 1)
  const message = messageOf(error)
  const result = new Error(message, cause === undefined ? undefined : { cause })
  const name = /^\w{1,64}$/.test(error.name) ? error.name : 'Error'
  Object.defineProperty(result, 'name', { value: name, configurable: true, writable: true })
  for (const key of harmless) {
    const value: unknown = Reflect.get(error, key)
    if (typeof value === 'string' || typeof value === 'number') Object.assign(result, { [key]: value })
  }
  result.stack = `${name}: ${message}\n${framesOf(error).join('\n')}`
  return result
}

/** The message comes before the frames, and may look like them. */
function framesOf({ stack = '', message }: Error): readonly string[] {
  const frames = stack.slice(Math.max(0, stack.indexOf(message)) + message.length)
  return frames.split('\n').filter((line) => /^ {4}at /.test(line))
}
