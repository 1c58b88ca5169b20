/** Identifiers in SurrealQL text, for the few statements that cannot take them as parameters. */

/**
 * Quotes a table, namespace or database name with backticks. Safe for every name: only the backslash and the backtick mean
 * anything inside the quotes. The SDK's own escaping leaves reserved words bare and can be broken out of.
 */
export function quoteIdentifier(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``
}
