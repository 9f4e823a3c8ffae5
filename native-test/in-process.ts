import { Writable } from 'node:stream';
import { main } from '../bin/main.js';
import { pinfs, type CliResult } from './cli.js';

/** What lives on after the command line was read, or takes signals; a mount in the background has a process anyway. */
function needsProcess([command = '', ...args]: readonly string[]): boolean {
  if (command === 'mount') return args.includes('--foreground');
  return command === 'serve' || command === 'bench';
}

let turn: Promise<unknown> = Promise.resolve();
let waiting = 0;

/**
 * Runs `pinfs` within this process, a tenth of the CPU time of starting it: for tests of what it says and of
 * what it makes of its arguments. Exit codes as a shell sees them, signals, pipes and what is loaded at start
 * are tested with `pinfs` of cli.ts. One at a time, since output, environment and exit code belong to the process.
 */
export async function pinfsInProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  if (needsProcess(args)) return await pinfs(args, env);
  waiting++;
  const result = turn.then(() => runAlone(args, env)).finally(() => waiting--);
  turn = result.catch(() => undefined);
  return await result;
}

/** The same where no other runs here, else in a process of its own: none waits for one that may hang. */
export async function pinfsAtOnce(args: readonly string[]): Promise<CliResult> {
  return await (waiting === 0 ? pinfsInProcess(args) : pinfs(args));
}

async function runAlone(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CliResult> {
  const stdout = collector();
  const stderr = collector();
  const restore = [
    replaceStream('stdout', stdout.stream),
    replaceStream('stderr', stderr.stream),
    ...Object.entries(env).map(([name, value]) => replaceVariable(name, value)),
  ];
  const exitCode = process.exitCode;
  process.exitCode = undefined;
  try {
    await main(args);
    return { code: exitCodeNow(), stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    process.exitCode = exitCode;
    for (const one of restore) one();
  }
}

// As a function, since the compiler can't see that `main` sets it.
function exitCodeNow(): number {
  return Number(process.exitCode ?? 0);
}

function collector(): { stream: Writable; text: () => string } {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write: (piece: Buffer, _, done) => {
      pieces.push(piece);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(pieces).toString() };
}

// tap has its own hold on the streams of the process, and goes on writing to them.
function replaceStream(name: 'stdout' | 'stderr', value: Writable): () => void {
  const before = Object.getOwnPropertyDescriptor(process, name);
  Object.defineProperty(process, name, { value, configurable: true, enumerable: true });
  return () => {
    if (before !== undefined) Object.defineProperty(process, name, before);
  };
}

// Set one by one: the library holds process.env itself.
function replaceVariable(name: string, value: string): () => void {
  const before = process.env[name];
  process.env[name] = value;
  return () => {
    if (before === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = before;
  };
}
