import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { errorCode } from '../lib/format/errno.js';
import type { Shown } from '../lib/testing/suites/oracle.js';
import type { Verdict } from '../lib/trust/verdict/verdict.js';
import { pinfs, type CliResult } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import type { DriverName } from './machine.js';
import type { Step } from './probe.js';

/** A place for the mounts of one test; all of it is gone afterwards. */
export interface Scene {
  readonly work: string;
  /** A directory below `work`, made. */
  directory(name: string): string;
  /** Mounts and expects that it works. @returns the mountpoint. */
  mount(options: SceneMount): Promise<string>;
  /** As `mount`, whatever comes of it. */
  tryMount(options: SceneMount): Promise<CliResult & { readonly mountpoint: string }>;
  umount(mountpoint: string): Promise<void>;
  status(mountpoint: string): Promise<MountFacts | undefined>;
}

export interface SceneMount {
  readonly source: string;
  /** Name of the mountpoint below the scene. */
  readonly at?: string;
  /** Default: one for the whole scene. */
  readonly cache?: string;
  readonly args?: readonly string[];
}

/** The part of `pinfs status --json` that tests look at. */
export interface MountFacts {
  readonly mountpoint: string;
  readonly state: string;
  readonly status: {
    readonly pid: number;
    readonly driver: string;
    readonly notCarried: number;
    readonly errors: Readonly<Record<string, number>>;
    readonly requests: Readonly<Record<string, number>>;
    readonly traffic: { readonly requests: number; readonly bytes: number };
    readonly verdict: Verdict;
    readonly store: {
      readonly directory: string;
      readonly hitRate: number | null;
      readonly notStored?: { readonly reason: string; readonly objects: number };
    };
  } | null;
}

/** A process that was detached may still be writing its last words: a file that came meanwhile is found anew. */
export async function removeWhole(directory: string): Promise<void> {
  for (let tries = 50; ; tries--) {
    try {
      rmSync(directory, { recursive: true, force: true });
      return;
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOTEMPTY' || tries === 0) throw thrown;
      await pause(100);
    }
  }
}

export function scene(t: Test, driver: DriverName): Scene {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-native-'));
  const mounted = new Set<string>();
  const made = new Set<string>();
  const directory = (name: string): string => {
    const path = join(work, name);
    // Never touched again: a mount, or a dead one, may be there by then.
    if (!made.has(path)) mkdirSync(path, { recursive: true });
    made.add(path);
    return path;
  };
  const tryMount = async ({ source, at = 'mnt', cache = 'cache', args = [] }: SceneMount) => {
    const mountpoint = directory(at);
    mounted.add(mountpoint);
    const options = ['--driver', driver, '--cache', directory(cache), ...args];
    const result = await pinfsAtOnce(['mount', ...options, source, mountpoint]);
    return { ...result, mountpoint };
  };
  t.teardown(async () => {
    // In a process of its own: one that hangs would hang the test.
    if (mounted.size > 0) {
      const { code } = await pinfs(['umount', ...mounted]);
      if (code !== 0) await pinfs(['umount', '--force', ...mounted]);
    }
    await removeWhole(work);
  });
  return {
    work,
    directory,
    tryMount,
    async mount(options) {
      const { code, stderr, mountpoint } = await tryMount(options);
      if (code !== 0) throw new Error(`mount of ${options.source} ended with ${code}: ${stderr}`);
      return mountpoint;
    },
    async umount(mountpoint) {
      const { code, stderr } = await pinfsAtOnce(['umount', mountpoint]);
      if (code !== 0) throw new Error(`umount ended with ${code}: ${stderr}`);
      mounted.delete(mountpoint);
    },
    async status(mountpoint) {
      const { stdout } = await pinfsAtOnce(['status', '--json']);
      const { mounts } = JSON.parse(stdout) as { mounts: MountFacts[] };
      return mounts.find((one) => one.mountpoint === mountpoint);
    },
  };
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program, for at most half a minute; the output as byte strings. Never a program that lies in a
 * mount, nor in a directory there: Node waits, blocked, until a child runs (use the shell).
 */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly timeout?: number } = {},
): Promise<RunResult> {
  return await new Promise((resolve) => {
    const settings = {
      encoding: 'latin1',
      maxBuffer: 2 ** 27,
      timeout: 30_000,
      killSignal: 'SIGKILL',
      ...options,
    } as const;
    execFile(program, args, settings, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs a command of the shell with `$1`, `$2`… */
export async function shell(text: string, ...args: readonly string[]): Promise<RunResult> {
  return await run('sh', ['-c', text, 'sh', ...args]);
}

/** A compiled helper of this folder. */
export function helper(name: string): string {
  return join(dirname(fileURLToPath(import.meta.url)), `${name}.js`);
}

/** What is seen of every path of a mount. */
export async function walkMount(
  mountpoint: string,
  notEntered: readonly string[] = [],
): Promise<Shown[]> {
  const args = [helper('walk'), mountpoint, ...notEntered];
  const { code, stdout, stderr } = await run(process.execPath, args, { timeout: 120_000 });
  if (code !== 0) throw new Error(`the walk ended with ${String(code)}: ${stderr}`);
  const text = Buffer.from(stdout, 'latin1').toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Shown);
}

/** What came of each system call, made in a process of its own (see probe.ts). */
export async function probe(steps: readonly Step[]): Promise<unknown[]> {
  const { code, stdout, stderr } = await run(process.execPath, [
    helper('probe'),
    JSON.stringify(steps),
  ]);
  if (code !== 0) throw new Error(`the probe ended with ${String(code)}: ${stderr}`);
  return JSON.parse(Buffer.from(stdout, 'latin1').toString('utf8')) as unknown[];
}
