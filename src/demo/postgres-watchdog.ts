/**
 * The shell that stands between node and PostgreSQL. It holds the read end of a pipe from node, which the kernel closes
 * however node ends, SIGKILL included; the shell then stops the server and removes the directory.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import type { PostgresAccount } from './postgres-account.js'

/** How to stop PostgreSQL: `fast` ends the sessions and writes a checkpoint, `immediate` is a crash. */
export type PostgresStopMode = 'fast' | 'immediate'

/**
 * Commands on standard input: `initdb PASSWORD BINDIR`, then any number of `start PORT` followed by a stop mode. The end
 * of the input means clean up. Answers on standard output: `directory PATH`, `initdb STATUS`, `pid N`, `exited STATUS`.
 *
 * A background job of a shell starts with SIGINT and SIGQUIT ignored, so a signal that comes before the server set its
 * handlers is lost: hence the loop around `kill`.
 */
const script = `
trap '' HUP INT TERM PIPE
umask 077
exec 3<&0 </dev/null
directory=
for base in "$@"; do
  directory=$(mktemp -d "$base/surreal-sync-pg-XXXXXX") && break
done
[ -n "$directory" ] || exit 1
exec 2>>"$directory/log"
echo "directory $directory"
if read -r verb password bin <&3 && [ "$verb" = initdb ]; then
  printf '%s\\n' "$password" >"$directory/password"
  "$bin/initdb" -D "$directory/data" -U postgres --pwfile="$directory/password" --auth=scram-sha-256 \\
    --no-locale -E UTF8 --no-sync >>"$directory/log" 3<&-
  status=$?
  [ "$status" = 0 ] && : >"$directory/log"
  rm -f "$directory/password"
  echo "initdb $status"
  while read -r verb port <&3 && [ "$verb" = start ]; do
    "$bin/postgres" -D "$directory/data" -p "$port" >>"$directory/log" 2>&1 3<&- &
    pid=$!
    echo "pid $pid"
    (
      read -r mode <&3
      signal=QUIT
      [ "$mode" = fast ] && signal=INT
      while kill -s "$signal" "$pid" 2>/dev/null; do sleep 0.1; done
    ) &
    reader=$!
    wait "$pid"
    status=$?
    kill -s KILL "$reader"
    wait "$reader" 2>/dev/null
    echo "exited $status"
  done
fi
rm -rf "$directory" || { sleep 1; rm -rf "$directory"; }
`

/** Owns one shell, and through it one directory and at most one running PostgreSQL. */
export class PostgresWatchdog {
  readonly directory: string
  readonly #shell: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #ended: Promise<unknown>
  /** Settles when the running server has exited; `undefined` when none runs. */
  #exit: Promise<void> | undefined

  private constructor(shell: ChildProcess, answers: AsyncIterator<string>, ended: Promise<unknown>, directory: string) {
    this.#shell = shell
    this.#answers = answers
    this.#ended = ended
    this.directory = directory
  }

  /** Starts the shell in a session of its own, so that Ctrl-C does not reach it, and makes the directory. */
  static async open(account: PostgresAccount | undefined): Promise<PostgresWatchdog> {
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'))
    const shell = spawn('/bin/sh', ['-c', script, 'surreal-sync-postgres', tmpdir(), '/tmp'], {
      cwd: '/',
      detached: true,
      env: { ...Object.fromEntries(environment), LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'ignore'],
      ...account,
    })
    const ended = once(shell, 'exit')
    ended.catch(() => {}) // reported by whoever waits for an answer
    shell.stdin.on('error', () => {}) // a shell that is gone shows as the end of its answers
    const answers = createInterface({ input: shell.stdout })[Symbol.asyncIterator]()
    try {
      const directory = await expectAnswer(answers, 'directory')
      return new PostgresWatchdog(shell, answers, ended, directory)
    } catch (error) {
      shell.stdin.end()
      throw new Error(`No directory for PostgreSQL could be made in ${tmpdir()} or /tmp.`, { cause: error })
    }
  }

  /** Runs initdb; returns its exit status. */
  async initdb(binDir: string, password: string): Promise<number> {
    this.#send(`initdb ${password} ${binDir}`)
    return Number(await expectAnswer(this.#answers, 'initdb'))
  }

  /** Starts the server on `port` and returns its process id at once, before it accepts connections. */
  async start(port: number): Promise<number> {
    this.#send(`start ${port}`)
    const pid = Number(await expectAnswer(this.#answers, 'pid'))
    this.#exit = expectAnswer(this.#answers, 'exited').then(() => {
      this.#exit = undefined
    })
    this.#exit.catch(() => {}) // seen by halt() or close()
    return pid
  }

  /** Settles when the server has exited, at once when none runs. */
  async exited(): Promise<void> {
    await this.#exit
  }

  /** Whether a server that was started has not exited yet. */
  get running(): boolean {
    return this.#exit !== undefined
  }

  /** Stops the server and waits until it has exited. */
  async halt(mode: PostgresStopMode): Promise<void> {
    if (this.#exit === undefined) return
    this.#send(mode)
    await this.#exit
  }

  /** Stops the server if it runs, removes the directory, and waits until both are gone. */
  async close(): Promise<void> {
    this.hold()
    this.#shell.stdin?.end()
    await this.#ended
  }

  /** Keeps node alive while something is awaited from the shell. */
  hold(): void {
    this.#shell.ref()
    for (const pipe of [this.#shell.stdin, this.#shell.stdout]) if (pipe instanceof Socket) pipe.ref()
  }

  /** Lets node end while the server runs; the shell then cleans up. */
  release(): void {
    this.#shell.unref()
    for (const pipe of [this.#shell.stdin, this.#shell.stdout]) if (pipe instanceof Socket) pipe.unref()
  }

  #send(line: string): void {
    this.#shell.stdin?.write(`${line}\n`)
  }
}

async function expectAnswer(answers: AsyncIterator<string>, key: string): Promise<string> {
  const { value, done } = await answers.next()
  if (done === true || !value.startsWith(`${key} `)) {
    throw new Error(`The shell that watches PostgreSQL ended or answered something else than "${key}".`)
  }
  return value.slice(key.length + 1)
}
