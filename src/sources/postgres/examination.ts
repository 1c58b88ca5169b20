/** Everything that an operator would look at before and between runs. Changes nothing. */
import type { Finding } from '../../core/finding.js'
import type { Table } from '../../core/schema.js'
import { auditFindings, captureFindings, refusal } from './capture-findings.js'
import type { Connections } from './connections.js'
import { readIdentity } from './identity.js'
import { Installer } from './installer.js'
import { auditRights, readingRights } from './rights-findings.js'
import { serverFindings } from './server-findings.js'
import type { Session } from './session.js'
import { type PlanContext, selectPlanned } from './source-plan.js'
import { followableTables } from './table-selection.js'

/** What `PostgresTriggerSource.examine` has to know. */
export interface ExamineSourceOptions {
  /** How many parts of tables a run would read at once. @defaultValue 4 */
  readonly concurrency?: number
  /** From which age on an open transaction is warned of, in milliseconds. @defaultValue five minutes */
  readonly openTransactionMsMax?: number
}

/** What {@link PostgresTriggerSource.examine} finds. */
export interface SourceExamination {
  readonly findings: readonly Finding[]
  /** What would be replicated, for the examination of a sink. */
  readonly tables: readonly Table[]
}

const concurrencyDefault = 4

/** Never throws for what it finds, also if nobody answers. */
export async function examineSource(
  connect: (warn: (warning: { readonly message: string }) => void) => Connections,
  context: Omit<PlanContext, 'connections'>,
  {
    concurrency = concurrencyDefault,
    openTransactionMsMax,
    address,
  }: ExamineSourceOptions & { readonly address: string },
): Promise<SourceExamination> {
  const insecure: string[] = []
  const connections = connect(({ message }) => insecure.push(message))
  try {
    const server = await connections.use((session) => reached(session, address, insecure))
    const { tables, findings } = await connections.use((session) => selected(session, { ...context, connections }))
    const needs = { concurrency, tables: tables.length, openTransactionMsMax }
    const settings = await connections.use((session) => serverFindings(session, needs))
    return { findings: [...server, ...settings, ...findings], tables }
  } catch (error) {
    return { findings: [refusal('source.connection', error)], tables: [] }
  } finally {
    await connections.close()
  }
}

const serverSql = `
select pg_catalog.current_setting('server_version'), current_user, s.ssl, s.version, s.cipher, pg_catalog.pg_backend_pid()
from (select 1) one left join pg_catalog.pg_stat_ssl s on s.pid = pg_catalog.pg_backend_pid()`

async function reached(session: Session, address: string, insecure: readonly string[]): Promise<readonly Finding[]> {
  const [row] = await session.rows('identifying the server', serverSql)
  const [version, role, encrypted, protocol, cipher, pid] = row ?? []
  const pooled = Reflect.get(session.client, 'processID') !== Number(pid)
  const [warning] = insecure
  const tls =
    encrypted === 't'
      ? `${protocol}, ${cipher}${pooled ? ', as far as a pooler' : ''}`
      : 'none, as asked for or because the server is near'
  return [
    {
      id: 'source.connection',
      outcome: 'ok',
      message: `Connected to ${address} as ${role}${pooled ? ', through a pooler' : ''}`,
    },
    warning === undefined
      ? { id: 'source.tls', outcome: 'ok', message: `Encryption: ${tls}` }
      : {
          id: 'source.tls',
          outcome: 'warning',
          message: warning,
          remedy: 'Use sslmode=verify-full, with sslrootcert for an authority of your own.',
        },
    await usable(session, version ?? ''),
  ]
}

async function usable(session: Session, version: string): Promise<Finding> {
  try {
    await readIdentity(session)
    return { id: 'source.server', outcome: 'ok', message: `PostgreSQL ${version}, a primary` }
  } catch (error) {
    return refusal('source.server', error)
  }
}

async function selected(
  session: Session,
  context: PlanContext,
): Promise<{ readonly tables: readonly Table[]; readonly findings: readonly Finding[] }> {
  return session.within('look', async () => {
    const rights = await auditRights(session, context.auditSchema)
    const problems = rights.filter(({ outcome }) => outcome === 'problem').map(({ id }) => id)
    const blocked = problems.some((id) => id === 'source.rights.schema' || id === 'source.rights.meta')
    try {
      const { tables, leftOut } = await selectPlanned(session, context)
      const { connections, auditSchema, names, options } = context
      const installer = new Installer(connections, auditSchema, () => {}, options)
      const found: readonly Finding[] = [
        { id: 'source.tables', outcome: 'ok', message: `Tables selected: ${tables.length}` },
        ...leftOut.map(
          ({ label, message, hint }): Finding => ({
            id: 'source.tables',
            outcome: 'warning',
            message: `${message}; it is left out`,
            remedy: hint,
            table: label,
          }),
        ),
        ...readingRights(tables),
        ...rights,
        // What may not be read cannot be judged.
        ...(blocked ? [] : await captureFindings(session, { installer, names, tables: followableTables(tables) })),
        ...(problems.length > 0 ? [] : await auditFindings(session, { names, auditSchema, limit: options })),
      ]
      return { tables, findings: found }
    } catch (error) {
      return { tables: [], findings: [refusal('source.tables', error), ...rights] }
    }
  })
}
