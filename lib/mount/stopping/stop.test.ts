import t from 'tap';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { notRepinned, temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import { serveControl } from '../control/control.js';
import { stopMount } from './stop.js';

function setUp(path: string) {
  const mountpoint = join(path, 'mnt');
  mkdirSync(mountpoint);
  // A process number that nobody has: above the largest that Linux gives (proc_sys_kernel(5)).
  const record = {
    mountpoint,
    pid: 2 ** 22 + 1,
    since: '2020-01-01T00:00:00.000Z',
    source: '/srv/a',
  };
  return { mountpoint, record, parts: { directories: [path], timeoutMs: 5000 } };
}

void t.test('the process of the mount is asked, and a relative path will do', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const { mountpoint, record, parts } = setUp(path);
  const asked: string[] = [];
  const control = await serveControl(path, record, {
    status: () => ({ state: 'running' }),
    explain: () => Promise.reject(new Error('not asked')),
    repin: notRepinned,
    leaveCache: notRepinned,
    record: notRepinned,
    unmount: (mode) => {
      asked.push(mode);
      return Promise.resolve({ ended: true });
    },
  });
  const whole = { mountpoint, by: 'process', servesOn: null };
  t.same(await stopMount(`${path}/./mnt/`, 'orderly', parts), whole);
  t.same(await stopMount(mountpoint, 'force', parts), whole);
  t.same(asked, ['orderly', 'force']);
  await control.close();
});

void t.test('its refusal is the caller’s', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const { mountpoint, record, parts } = setUp(path);
  const control = await serveControl(path, record, {
    status: () => ({ state: 'running' }),
    explain: () => Promise.reject(new Error('not asked')),
    repin: notRepinned,
    leaveCache: notRepinned,
    record: notRepinned,
    unmount: () => Promise.reject(new PinfsError('MOUNT_BUSY', 'in use by 12 (bash: open file)')),
  });
  await t.rejects(stopMount(mountpoint, 'orderly', parts), { code: 'MOUNT_BUSY', message: /bash/ });
  await control.close();
});

void t.test('a process that does not answer is named, and left to --force', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const { mountpoint, record, parts } = setUp(path);
  const control = await serveControl(path, record, {
    status: () => ({ state: 'running' }),
    explain: () => Promise.reject(new Error('not asked')),
    repin: notRepinned,
    leaveCache: notRepinned,
    record: notRepinned,
    unmount: () => new Promise(() => undefined),
  });
  await t.rejects(stopMount(mountpoint, 'orderly', { ...parts, timeoutMs: 1 }), {
    code: 'MOUNT_BUSY',
    advice: /--force/,
  });
  // With --force the system is asked; nothing is mounted there in this test.
  await t.rejects(stopMount(mountpoint, 'force', { ...parts, timeoutMs: 1 }), {
    code: 'NOT_MOUNTED',
  });
  await control.close();
});

void t.test('what is not mounted is said so, whatever is there', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const { mountpoint, parts } = setUp(path);
  await t.rejects(stopMount(mountpoint, 'orderly', parts), { code: 'NOT_MOUNTED' });
  await t.rejects(stopMount(join(path, 'missing'), 'orderly', parts), { code: 'NOT_MOUNTED' });
});
