/** Commands with a time limit; what overruns it is killed with all that it started. */
import { spawn, type ChildProcess } from 'node:child_process';

/** Nothing that is measured takes longer unless it hangs. */
const commandSecondsMax = 900;

export interface RunOptions {
  readonly cwd?: string;
  readonly secondsMax?: number;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Ran {
  readonly ms: number;
  readonly stdout: string;
}

/** Of a pipe, each command has to end well. */
export function shell(command: string): string[] {
  return ['bash', '-o', 'pipefail', '-c', command];
}

/** Runs a command to its end; its output is thrown away. @returns milliseconds. */
export async function timed(command: readonly string[], options: RunOptions = {}): Promise<number> {
  return (await finish(start(command, 'ignore', options), command, options)).ms;
}

/** Runs a command to its end, and keeps what it printed. */
export async function output(
  command: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return (await finish(start(command, 'pipe', options), command, options)).stdout;
}

/** Starts a command as the leader of a process group, so that `killGroup` reaches all of it. */
export function start(
  command: readonly string[],
  stdout: 'ignore' | 'pipe',
  { cwd, env }: RunOptions = {},
): ChildProcess {
  const [program = '', ...args] = command;
  return spawn(program, args, {
    stdio: ['ignore', stdout, 'inherit'],
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
  });
}

/** Ends a process that `start` made, and what it started in its group. */
export function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already.
  }
}

async function finish(
  child: ChildProcess,
  command: readonly string[],
  { secondsMax = commandSecondsMax }: RunOptions,
): Promise<Ran> {
  const started = performance.now();
  const stop = (): void => killGroup(child, 'SIGKILL');
  const timer = setTimeout(stop, secondsMax * 1000);
  process.once('exit', stop);
  let stdout = '';
  child.stdout?.on('data', (piece: Buffer) => (stdout += piece.toString()));
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const ms = performance.now() - started;
    if (code === 0) return { ms, stdout };
    const ending = code === null ? `was ended (limit: ${secondsMax} s)` : `ended with ${code}`;
    throw new Error(`${command.join(' ')} ${ending}`);
  } finally {
    clearTimeout(timer);
    process.off('exit', stop);
  }
}
