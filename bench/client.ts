/** Clients that mount: pinfs of this checkout, and whatever is named beside it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { program } from '../lib/testing/program.js';
import { marked, markVariable } from './memory.js';
import { killGroup, shell, start, timed } from './process.js';

/** The program of this checkout. */
export const script = program;

export interface Client {
  readonly name: string;
  /** A shell command that mounts, and stays or goes to the background; see `fill`. */
  readonly command: string;
}

export const pinfs: Client = {
  name: 'pinfs',
  command: `'${process.execPath}' '${script}' mount --key {key} --cache {cache} --cache-limit 8G {url}@{hash} {mnt}`,
};

/** What stands for {url} and so on in the command of a client. */
export interface Filling {
  /** Of the repository. */
  readonly url: string;
  readonly cache: string;
  readonly mnt: string;
  readonly key: string;
  readonly hash: string;
  readonly tag: string;
  readonly fqrn: string;
}

/** Puts the values in, quoted for the shell. @throws Error for a name that is not one of them */
export function fill(command: string, filling: Filling): string {
  return command.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = Object.entries(filling).find(([key]) => key === name)?.[1] as string | undefined;
    if (value === undefined) throw new Error(`{${name}} in '${command}' means nothing`);
    return `'${value.replaceAll("'", "'\\''")}'`;
  });
}

export interface Mounted {
  readonly path: string;
  /** Stands in the environment of each process of this mount. */
  readonly mark: string;
  unmount(): Promise<void>;
}

const mountSecondsMax = 120;
let mounts = 0;

/** Mounts, and returns as soon as the mount is there. */
export async function mount(client: Client, filling: Filling): Promise<Mounted> {
  mkdirSync(filling.mnt, { recursive: true });
  const mark = `${process.pid}-${mounts++}`;
  const command = shell(fill(client.command, filling));
  const child = start(command, 'ignore', { env: { ...process.env, [markVariable]: mark } });
  const stop = (): void => killGroup(child, 'SIGKILL');
  process.once('exit', stop);
  let failed: string | undefined;
  child.once('error', (error: Error) => (failed = error.message));
  child.once('exit', (code) => {
    if (code !== 0) failed = `it ended with ${code ?? 'a signal'}`;
  });
  const until = performance.now() + mountSecondsMax * 1000;
  while (!isMounted(filling.mnt)) {
    if (performance.now() > until) failed ??= 'it took too long';
    if (failed !== undefined) {
      stop();
      throw new Error(`${client.name} did not mount: ${failed}`);
    }
    await sleep(2);
  }
  return {
    path: filling.mnt,
    mark,
    async unmount() {
      await timed(unmountCommand(filling.mnt), { secondsMax: 60 });
      await ending(mark, stop);
      process.off('exit', stop);
    },
  };
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);
}

function unmountCommand(path: string): string[] {
  return process.getuid?.() === 0 ? ['umount', path] : ['fusermount3', '-u', path];
}

const endSecondsMax = 20;

/** Until no process of the mount is left: it may write to its cache to the last. */
async function ending(mark: string, stop: () => void): Promise<void> {
  const until = performance.now() + endSecondsMax * 1000;
  while (marked(mark).length > 0) {
    if (performance.now() > until) {
      stop();
      throw new Error('processes of a mount are left');
    }
    await sleep(10);
  }
}
