import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import type { DriverName } from './machine.js';
import { scene, shell, type Scene } from './scene.js';

/** What tests of the life of a mount share: a server, a scene, and who stands in a mount. */

export interface Stage {
  readonly here: Scene;
  readonly server: BadServer;
  readonly source: string;
  readonly args: readonly string[];
}

export async function setUp(t: Test, driver: DriverName): Promise<Stage> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  return { here, server, source: `${server.url}@v1`, args: ['--key', key] };
}

/** Whether something is mounted there now, by the kernel's own list. */
export function isMounted(mountpoint: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === mountpoint);
}

export async function pidOf(here: Scene, mountpoint: string): Promise<number> {
  const pid = (await here.status(mountpoint))?.status?.pid;
  if (pid === undefined) throw new Error('status does not know the mount');
  return pid;
}

/** Looks again and again, each time after a process has run, until it holds. */
export async function until(what: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let look = 0; look < 200; look++) {
    if (await what()) return true;
    await shell('sleep 0.05');
  }
  return false;
}

/** A shell that stands in a directory until it is told to go. */
export async function standIn(directory: string): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', 'cd "$1" && echo there && read line', 'sh', directory], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return child;
}

export function isGone(pid: number): boolean {
  try {
    return / [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/, ''));
  } catch {
    return true;
  }
}
