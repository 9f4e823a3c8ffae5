import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Shown } from '../lib/testing/oracle.js';
import { pinfs, type CliResult } from './cli.js';
import type { DriverName } from './machine.js';

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
    readonly verdict: { readonly status: string };
    readonly store: { readonly directory: string; readonly hitRate: number | null };
  } | null;
}

export function scene(t: Test, driver: DriverName): Scene {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-native-'));
  const mounted = new Set<string>();
  const directory = (name: string): string => {
    const path = join(work, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const tryMount = async ({ source, at = 'mnt', cache = 'cache', args = [] }: SceneMount) => {
    const mountpoint = directory(at);
    mounted.add(mountpoint);
    const options = ['--driver', driver, '--cache', directory(cache), ...args];
    const result = await pinfs(['mount', ...options, source, mountpoint]);
    return { ...result, mountpoint };
  };
  t.teardown(async () => {
    for (const mountpoint of mounted) await pinfs(['umount', '--lazy', mountpoint]);
    rmSync(work, { recursive: true, force: true });
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
      const { code, stderr } = await pinfs(['umount', mountpoint]);
      if (code !== 0) throw new Error(`umount ended with ${code}: ${stderr}`);
      mounted.delete(mountpoint);
    },
    async status(mountpoint) {
      const { stdout } = await pinfs(['status', '--json']);
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

/** Runs a program, for at most half a minute; the output as byte strings. */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeout?: number } = {},
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

export async function shell(
  text: string,
  ...args: Parameters<typeof run> extends [unknown, unknown, infer O] ? [O?] : []
): Promise<RunResult> {
  return await run('sh', ['-c', text], ...args);
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
