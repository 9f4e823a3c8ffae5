import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { mountType, type MountLine } from '../machine/mountinfo.js';
import {
  recordOfFirstVersion,
  serveAsFirstVersion,
  statusOfFirstVersion,
} from '../testing/fakes/first-version.js';
import { notRepinned, temporaryDirectory } from '../testing/fakes/stub-mount.js';
import { findRecords, serveControl, type MountRecord } from './control/control.js';
import { listMounts, type ListParts } from './list.js';
import type { MountHealth } from '../machine/stale-mounts.js';
import { mountName } from './control/runtime.js';
import { statusLines, statusVersion } from './session/status.js';

function line(mountpoint: string, user = 1000, type = mountType): MountLine {
  const superOptions = ['ro', `user_id=${user}`];
  return {
    id: 1,
    parent: 0,
    root: '/',
    device: '0:40',
    mountpoint,
    options: [],
    type,
    source: 'pinfs',
    superOptions,
  };
}

function record(mountpoint: string): MountRecord {
  return { mountpoint, pid: 42, since: '2020-01-01T00:00:00.000Z', source: '/srv/a' };
}

function parts(directory: string, changes: Partial<ListParts> = {}): ListParts {
  return {
    directories: [directory],
    mounts: [],
    uid: 1000,
    health: () => Promise.resolve('alive' as const),
    timeoutMs: 5000,
    ...changes,
  };
}

/** What a process that was killed leaves behind. */
function dead(directory: string, mountpoint: string): void {
  const name = join(directory, mountName(mountpoint));
  writeFileSync(`${name}.json`, JSON.stringify(record(mountpoint)));
  writeFileSync(`${name}.sock`, '');
}

void t.test('a running mount gives its status', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const status = { ...statusOfFirstVersion, version: statusVersion };
  const control = await serveControl(path, record('/mnt/a'), {
    status: () => status,
    explain: () => Promise.reject(new Error('not asked')),
    repin: notRepinned,
    leaveCache: notRepinned,
    record: notRepinned,
    unmount: () => Promise.resolve({ ended: true }),
  });
  const mounts = await listMounts(parts(path, { mounts: [line('/mnt/a')] }));
  t.match(mounts, [{ mountpoint: '/mnt/a', state: 'running', pid: 42, source: '/srv/a', status }]);
  t.equal(mounts.length, 1, 'once, though both the table and its record name it');
  await control.close();
});

void t.test('a status of another version is not misread', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const control = await serveControl(path, record('/mnt/a'), {
    status: () => ({ version: statusVersion + 1, state: 'resting' }),
    explain: () => Promise.reject(new Error('not asked')),
    repin: notRepinned,
    leaveCache: notRepinned,
    record: notRepinned,
    unmount: () => Promise.resolve({ ended: true }),
  });
  t.match(await listMounts(parts(path)), [{ state: 'running', status: null }]);
  await control.close();
});

void t.test('the status of a process of 0.1.0 is read and shown', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const name = join(path, mountName('/mnt/a'));
  writeFileSync(`${name}.json`, JSON.stringify(recordOfFirstVersion));
  const server = await serveAsFirstVersion(`${name}.sock`, []);
  const [found] = await listMounts(parts(path, { mounts: [line('/mnt/a')] }));
  server.close();
  t.match(found, { mountpoint: '/mnt/a', state: 'running', pid: 42 });
  t.match(found?.status, JSON.parse(JSON.stringify(statusOfFirstVersion)));
  t.equal(found?.status?.device, null, 'what it does not say yet is filled in');
  const text = found?.status ? statusLines(found.status, (bytes) => `${bytes} B`).join('\n') : '';
  t.match(text, /test\.example\.org, revision 7/);
  t.match(text, /4 requests, 1000 B/);
});

void t.test('a status that is not what it says to be is none', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  for (const wrong of [
    { pid: 'x' },
    { store: null },
    { verdict: {} },
    { traffic: undefined },
    { tree: [] },
    { mountpoint: undefined },
  ]) {
    const control = await serveControl(path, record('/mnt/a'), {
      status: () => ({ ...statusOfFirstVersion, ...wrong }),
      explain: () => Promise.reject(new Error('not asked')),
      repin: notRepinned,
      leaveCache: notRepinned,
      record: notRepinned,
      unmount: () => Promise.resolve({ ended: true }),
    });
    const found = await listMounts(parts(path));
    t.match(found, [{ state: 'running', status: null }], JSON.stringify(wrong));
    await control.close();
  }
});

void t.test('a dead mount is stale; a dead process without a mount is forgotten', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  dead(path, '/mnt/a');
  dead(path, '/mnt/b');
  const mounts = await listMounts(parts(path, { mounts: [line('/mnt/a')] }));
  t.match(mounts, [{ mountpoint: '/mnt/a', state: 'stale', pid: 42, status: null }]);
  t.same(
    findRecords([path]).map((found) => found.record.mountpoint),
    ['/mnt/a'],
  );
});

void t.test('a process that gives no answer is silent', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  dead(path, '/mnt/a');
  const socket = findRecords([path])[0]?.socket ?? '';
  rmSync(socket);
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.match(await listMounts(parts(path, { timeoutMs: 1 })), [{ state: 'silent', pid: 42 }]);
  server.close();
});

void t.test('mounts without a record are those of this user, or all for root', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const health = (mountpoint: string): Promise<MountHealth> =>
    Promise.resolve(mountpoint === '/mnt/a' ? 'stale' : mountpoint === '/mnt/b' ? 'hung' : 'alive');
  const mounts = [
    line('/mnt/a'),
    line('/mnt/b'),
    line('/mnt/c'),
    line('/mnt/d', 1001),
    line('/mnt/e', 1000, 'fuse.sshfs'),
  ];
  const mine = await listMounts(parts(path, { mounts, health }));
  t.same(
    mine.map(({ mountpoint, state }) => `${mountpoint} ${state}`),
    ['/mnt/a stale', '/mnt/b silent', '/mnt/c other'],
  );
  const all = await listMounts(parts(path, { mounts, health, uid: 0 }));
  t.equal(all.length, 4);
});
