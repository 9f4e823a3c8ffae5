import { Writable } from 'node:stream';
import { main } from '../bin/main.js';
import { pinfs, type CliResult } from './cli.js';

/** What lives on after the command line was read, or takes signals. */
const needProcess: ReadonlySet<string> = new Set(['mount', 'serve', 'bench']);

let turn: Promise<unknown> = Promise.resolve();

/**
 * Runs `pinfs` within this process, a tenth of the CPU time of starting it: for tests of what it says and of
 * what it makes of its arguments. Exit codes as a shell sees them, signals, pipes and what is loaded at start
 * are tested with `pinfs` of cli.ts. One at a time, since output, environment and exit code belong to the process.
 */
export async function pinfsInProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  if (needProcess.has(args[0] ?? '')) return await pinfs(args, env);
  const result = turn.then(() => runAlone(args, env));
  turn = result.catch(() => undefined);
  return await result;
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
