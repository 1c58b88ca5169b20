/** Names as SQL writes them. */
import pg from 'pg'

/** `"a name"`, whatever the name. */
export function quoteName(name: string): string {
  return pg.escapeIdentifier(name)
}

/** `"schema"."name"`; the schema `pg_catalog` stays without quotes. */
export function quoteQualified(schema: string, name: string): string {
  return `${schema === 'pg_catalog' ? schema : quoteName(schema)}.${quoteName(name)}`
}
