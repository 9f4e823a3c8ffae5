import { fork, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { parseMountinfo } from '../lib/machine/mountinfo.js';
import type { DaemonOptions, FromDaemon, ToDaemon } from './kernel-daemon.js';

const daemonPath = fileURLToPath(new URL('kernel-daemon.js', import.meta.url));
const timeoutMs = 20_000;

/** Polls until something is so. @throws after twenty seconds. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    if (isSo()) return;
    await wait(5);
  }
  throw new Error(`in vain: ${what}`);
}

export function isMounted(mountpoint: string): boolean {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1')).some(
    (mount) => mount.mountpoint === mountpoint,
  );
}

/** A daemon under test, and what it told. */
export interface Daemon {
  readonly child: ChildProcess;
  readonly said: FromDaemon[];
  readonly tell: (message: ToDaemon) => void;
  /** Waits until it has said so. */
  readonly hear: <K extends FromDaemon['kind']>(
    kind: K,
    fits?: (message: FromDaemon & { kind: K }) => boolean,
  ) => Promise<FromDaemon & { kind: K }>;
  /** Tells it to do something and waits until it is done; the code of its error. */
  readonly ask: (message: ToDaemon) => Promise<string | undefined>;
  readonly gone: Promise<void>;
}

export function startDaemon(options: DaemonOptions): Daemon {
  const child = fork(daemonPath, [JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const said: FromDaemon[] = [];
  child.on('message', (message) => said.push(message as FromDaemon));
  let lastWords = '';
  child.stderr?.on(
    'data',
    (data: Buffer) => (lastWords = `${lastWords}${data.toString()}`.slice(-2000)),
  );
  const tell = (message: ToDaemon) => {
    if (child.connected) child.send(message);
    else {
      const { exitCode, signalCode } = child;
      throw new Error(
        `the daemon is gone (${signalCode ?? exitCode ?? 'it let go'}): ${lastWords}`,
      );
    }
  };
  const hear: Daemon['hear'] = async (kind, fits = () => true) => {
    type Wanted = FromDaemon & { kind: typeof kind };
    const found = () =>
      said.find((message): message is Wanted => message.kind === kind && fits(message as Wanted));
    await until(`the daemon says ${kind}`, () => found() !== undefined);
    const message = found();
    if (message === undefined) throw new Error('it was there a moment ago');
    return message;
  };
  const ask = async (message: ToDaemon) => {
    const before = said.length;
    tell(message);
    const isDone = (it: FromDaemon) => it.kind === 'done' && it.of === message.kind;
    await until(`it has done ${message.kind}`, () => said.slice(before).some(isDone));
    const done = said.slice(before).find(isDone);
    return done?.kind === 'done' ? done.error : undefined;
  };
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  return { child, said, tell, hear, ask, gone };
}

/** A program that uses the mount, in a process of its own: this one must never wait for a mount of a test. */
export interface Client {
  readonly child: ChildProcess;
  /** What it wrote so far. */
  readonly out: () => string;
  /** Its exit code, or the name of the signal that ended it, and what it wrote. */
  readonly result: Promise<{
    readonly code: number | string;
    readonly out: string;
    readonly err: string;
  }>;
}

export function startClient(command: string, ...parameters: readonly string[]): Client {
  const child = spawn(command, parameters, {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    timeout: timeoutMs,
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString('latin1')));
  child.stderr.on('data', (data: Buffer) => (err += data.toString('latin1')));
  const result = new Promise<{ code: number | string; out: string; err: string }>((resolve) => {
    child.once('error', (error) => {
      resolve({ code: -1, out, err: error.message });
    });
    child.once('close', (code, signal) => {
      resolve({ code: code ?? signal ?? -1, out, err });
    });
  });
  return { child, out: () => out, result };
}

export function run(command: string, ...parameters: readonly string[]): Client['result'] {
  return startClient(command, ...parameters).result;
}

/** A daemon on a mountpoint of its own. */
export interface Scene extends Daemon {
  readonly mountpoint: string;
  readonly path: (name: string) => string;
}

export async function scene(
  t: Test,
  options: Omit<DaemonOptions, 'mountpoint'> = {},
): Promise<Scene> {
  // Not in t.testdir(): that is emptied before the mount is gone.
  const mountpoint = mkdtempSync(join(tmpdir(), 'pinfs-kernel-'));
  return {
    ...(await serve(t, { ...options, mountpoint })),
    mountpoint,
    path: (name) => join(mountpoint, name),
  };
}

/** It is gone at the end of the test, whatever happened. */
export async function serve(t: Test, options: DaemonOptions): Promise<Daemon> {
  const daemon = startDaemon(options);
  t.teardown(async () => {
    daemon.child.kill('SIGKILL');
    await daemon.gone;
    await run('umount', '-l', '-c', options.mountpoint);
    await until('nothing is mounted', () => !isMounted(options.mountpoint));
    rmSync(options.mountpoint, { recursive: true, force: true });
  });
  await daemon.hear('mounted');
  return daemon;
}
