/** The process of the SurrealDB stand-in: started by surreal-server.ts, driven over IPC, gone with its parent. */
import { isRequest, type SurrealCommand, type SurrealReport, type SurrealSetup } from './surreal-control.js'
import { SurrealFaults } from './surreal-faults.js'
import { SurrealRpc } from './surreal-rpc.js'
import { SurrealRpcServer } from './surreal-rpc-server.js'

const setup: SurrealSetup = JSON.parse(process.argv[2] ?? '{}')

function report(message: SurrealReport): void {
  if (process.connected) process.send?.(message)
}

async function execute(command: SurrealCommand, id: number): Promise<void> {
  if (command.kind === 'fault') faults.arm(command.fault, () => report({ kind: 'triggered', id }))
  if (command.kind === 'cutAll') server.cutAll()
  if (command.kind === 'pause') faults.pause()
  if (command.kind === 'resume') faults.resume()
  if (command.kind === 'stop') {
    server.close()
    await rpc.close()
    process.exit(0)
  }
  report({ kind: 'done', id })
}

process.once('disconnect', () => process.exit(0))

const faults = new SurrealFaults()
const rpc = await SurrealRpc.open(setup.storage, setup.username, setup.password).catch(fail)
const server = new SurrealRpcServer(rpc, faults)
process.on('message', (message) => {
  if (isRequest(message)) execute(message.command, message.id).catch(fail)
})
report({ kind: 'listening', port: await server.listen(setup.port).catch(fail) })

function fail(error: Error): never {
  report({ kind: 'failed', message: error.message })
  process.exit(1)
}
