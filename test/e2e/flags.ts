/** The flags that most of the commands in these tests have in common. */
import { database, namespace } from './target.js'

/** `[--source-uri, …, --to-database, …]` */
export function connectionFlags(sourceUrl: string, endpoint: string): readonly string[] {
  return [
    ...['--source-uri', sourceUrl],
    ...['--surreal-endpoint', endpoint],
    ...['--surreal-username', 'root'],
    ...['--surreal-password', 'root'],
    ...['--to-namespace', namespace],
    ...['--to-database', database],
  ]
}
